"""Validate: check what stands in the state and write the verdict, for a Branch to read."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from engine.definition.by_path import CodePath, Many, to_path
from engine.definition.fits import can_hold, show
from engine.definition.guardrail import GuardItem, Guardrail, Stage
from engine.definition.node import Node, StepContext, Update
from engine.definition.state import State, fields_of
from engine.definition.tool import signature_of
from engine.nodes.compute import call


def _load_check(value: Any) -> Guardrail | CodePath:
    is_guardrail = isinstance(value, Guardrail | Mapping) or (isinstance(value, type) and issubclass(value, Guardrail))
    return Guardrail.load(value) if is_guardrail else to_path(value)


def _dump_check(check: Guardrail | CodePath) -> Any:
    return str(check) if isinstance(check, CodePath) else check.model_dump(mode="json", exclude_defaults=True)


Check = Annotated[Any, PlainValidator(_load_check), PlainSerializer(_dump_check)]
"""A guardrail, or a function that returns True or a sentence that says what is wrong."""


class Validate(Node):
    """Ask guardrails or functions whether fields hold what they should, and write whether all of them agree.

    A guardrail agrees when its verdict is allow or flag. Nothing is changed and nothing is blocked here.
    """

    is_check: ClassVar[bool] = True

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
        named = [name for check in self.check for name in _fields_of(check)]
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
        reasons = [reason for check in self.check for reason in await self._reasons(check, inputs, ctx)]
        verdict = self.failed if reasons else self.passed
        return {self.into: verdict, **({self.reasons: reasons} if self.reasons else {})}

    async def _reasons(self, check: Guardrail | CodePath, inputs: Mapping[str, Any], ctx: StepContext) -> list[str]:
        if isinstance(check, Guardrail):
            value = {name: inputs[name] for name in (*self.of, *check.reads)}
            verdicts = await ctx.examine(check, GuardItem(stage=Stage.CHECK, value=value, node=ctx.node, state=inputs))
            return [verdict.reason for _, verdict in verdicts if not verdict.allows]
        signature = signature_of(check.load())
        answer = await call(check.load(), signature.check({name: inputs[name] for name in signature.types}))
        if answer is True:
            return []
        return [answer if isinstance(answer, str) and answer else f"{signature.name} says no"]


def _fields_of(check: Guardrail | CodePath) -> tuple[str, ...]:
    return check.reads if isinstance(check, Guardrail) else tuple(signature_of(check.load()).types)
