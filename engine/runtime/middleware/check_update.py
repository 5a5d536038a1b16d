"""Check update: what a node writes fits the fields it says it writes, and is JSON."""

from collections.abc import Mapping
from typing import Any

from engine.errors import UpdateInvalid
from engine.runtime.run import Step, StepNext


async def check_update(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Turn what the node returns into JSON that its fields can hold.

    Raises:
        UpdateInvalid: it is not a mapping, names a field that the node does not write, or does not fit.
    """
    update: Any = await call_next(step)
    if not isinstance(update, Mapping):
        raise UpdateInvalid(f"the node {step.name!r} must return a dictionary of fields, not {type(update).__name__}")
    checked: dict[str, Any] = {}
    for name, value in update.items():  # pyright: ignore[reportUnknownVariableType]
        if name not in step.writes:
            raise UpdateInvalid(f"the node {step.name!r} returned {name!r}, which is not among the fields it writes")
        checked[name] = step.fields[name].to_json(value)
    return checked
