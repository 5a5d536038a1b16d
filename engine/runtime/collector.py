"""How the garbage collector of a process that makes runs is set: it lets alone what it would look at in vain."""

import gc
from functools import cache

_DEFAULT = (700, 10, 10)
_CALM = (10_000, 10, 10)  # fifty runs in progress hold more than 700 objects, and none of them is garbage


@cache
def settle() -> None:
    """Look past what imports have made, and look less often; thresholds that somebody has chosen stay."""
    gc.freeze()
    if gc.get_threshold() == _DEFAULT:
        gc.set_threshold(*_CALM)
