"""Validate: check what stands in the state and write the verdict, for a Branch to read."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.definition.by_path import Many
from engine.definition.fits import can_hold, show
from engine.definition.node import Node, StepContext, Update
from engine.definition.state import State, fields_of
from engine.definition.text_origin import TextOrigin
from engine.nodes.checks import Check, fields_of_check, reasons_against


class Validate(Node):
    """Ask guardrails or functions whether fields hold what they should, and write whether all of them agree.

    A guardrail agrees when its verdict is allow or flag. Nothing is changed and nothing is blocked here.
    """

    is_check: ClassVar[bool] = True
    brings: ClassVar[TextOrigin | None] = None

    check: Many[Check] = Field(min_length=1)
    """Guardrails, or functions whose parameters are named like the fields they read."""
    of: Many[str] = ()
    """The fields that the guardrails look at, besides those that they name themselves."""
    into: str
    """The field for the verdict."""
    passed: str | bool = True
    """What is written when all agree."""
    failed: str | bool = False
    """What is written when one does not."""
    reasons: str | None = None
    """A field for the reasons, a list of texts."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that are looked at."""
        named = [name for check in self.check for name in fields_of_check(check)]
        return tuple(dict.fromkeys([*self.of, *named]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The verdict, and the reasons where asked for."""
        return {self.into: Any, **({self.reasons: list[str]} if self.reasons else {})}

    def faults(self, state: type[State]) -> list[str]:
        """Check that there is something to look at and that the field can hold both verdicts."""
        faults = [] if self.reads else ["it looks at no field: set of"]
        field = fields_of(state).get(self.into)
        faults += [
            f"{self.into!r} holds {show(field.annotation)}, which {value!r} is not: set passed and failed"
            for value in (self.passed, self.failed)
            if field is not None and not can_hold(field.annotation, Literal[value])
        ]
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Ask every check."""
        reasons = [reason for check in self.check for reason in await reasons_against(check, self.of, inputs, ctx)]
        verdict = self.failed if reasons else self.passed
        return {self.into: verdict, **({self.reasons: reasons} if self.reasons else {})}
