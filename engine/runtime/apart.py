"""What runs apart inherits nothing from the graph that it is called in: no callbacks, checkpoints or interrupts."""

from collections.abc import Generator
from contextlib import contextmanager

from langchain_core.runnables.config import var_child_runnable_config


@contextmanager
def apart() -> Generator[None]:
    """Hide the graph around from whatever is called meanwhile."""
    around = var_child_runnable_config.set(None)
    try:
        yield
    finally:
        var_child_runnable_config.reset(around)
