"""How others stop a run: at once, or before its next step."""

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Cancellation:
    """Cancels the work of a run when it is called, from whichever thread."""

    task: "asyncio.Task[Any] | None" = None

    def __call__(self) -> None:
        """Cancel what is in progress."""
        if self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


@dataclass(slots=True)
class Leaving:
    """Whether runs are to stop before their next step, so that another process goes on with them."""

    is_wanted: bool = False
