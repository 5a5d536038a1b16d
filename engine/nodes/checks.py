"""Checks: guardrails and functions that say whether values are as they should be; nothing is changed by them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from engine.definition.by_path import CodePath, to_path
from engine.definition.guardrail import GuardItem, Guardrail, Stage
from engine.definition.node import StepContext
from engine.definition.tool import signature_of
from engine.nodes.compute import call


def _load(value: Any) -> Guardrail | CodePath:
    is_guardrail = isinstance(value, Guardrail | Mapping) or (isinstance(value, type) and issubclass(value, Guardrail))
    return Guardrail.load(value) if is_guardrail else to_path(value)


def _dump(check: Guardrail | CodePath) -> Any:
    return str(check) if isinstance(check, CodePath) else check.model_dump(mode="json", exclude_defaults=True)


Check = Annotated[Any, PlainValidator(_load), PlainSerializer(_dump)]
"""A guardrail, or a function that returns True or a sentence that says what is wrong."""


def fields_of_check(check: Guardrail | CodePath) -> tuple[str, ...]:
    """Give the fields that a check names itself: those of a guardrail, or the parameters of a function."""
    return check.reads if isinstance(check, Guardrail) else tuple(signature_of(check.load()).types)


async def reasons_against(
    check: Guardrail | CodePath, of: Sequence[str], values: Mapping[str, Any], ctx: StepContext
) -> list[str]:
    """Ask a check, and give why it does not agree; a guardrail agrees when its verdict is allow or flag.

    Args:
        check: the guardrail or function.
        of: the fields that a guardrail looks at, besides those that it names.
        values: fields with their values.
        ctx: the step's, which writes down what guardrails say.
    """
    if isinstance(check, Guardrail):
        looked_at = {name: values[name] for name in (*of, *check.reads)}
        item = GuardItem(stage=Stage.CHECK, value=looked_at, node=ctx.node, state=values)
        return [verdict.reason for _, verdict in await ctx.examine(check, item) if not verdict.allows]
    signature = signature_of(check.load())
    answer = await call(check.load(), signature.check({name: values[name] for name in signature.types}))
    if answer is True:
        return []
    return [answer if isinstance(answer, str) and answer else f"{signature.name} says no"]
