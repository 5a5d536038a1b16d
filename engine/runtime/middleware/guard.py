"""Guard: asks the guardrails of a node about what it reads and writes, and carries out what they say."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.definition.guard_policy import GuardRule
from engine.definition.guardrail import Action, GuardItem, Guardrail, Stage, Verdict, carry_out
from engine.definition.question import Question
from engine.errors import AnswerRejected, ApprovalRequired, GuardrailBlocked
from engine.runtime.asking import demand
from engine.runtime.examine import examine
from engine.runtime.run import Run, Step, StepNext
from engine.runtime.sources import sources_at, sources_of


async def guard_input(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Guard what the node reads."""
    if step.node.guard_input:
        step.inputs = await guarded(
            step.run, step.node.guard_input, step.inputs, step.node.input_stage, step=step, may_ask_again=False
        )
    return await call_next(step)


async def guard_output(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Guard what the node would write."""
    update = await call_next(step)
    if not step.node.guard_output:
        return update
    try:
        passed = await guarded(step.run, step.node.guard_output, update, step.node.output_stage, step=step)
    except GuardrailBlocked:
        step.unsay()
        raise
    if passed != update and getattr(step.node, "unsafe_stream_first", False):
        step.unsay()
    return passed


async def guarded(
    run: Run,
    guardrails: Sequence[Guardrail],
    value: Mapping[str, Any],
    stage: Stage,
    *,
    step: Step | None = None,
    may_ask_again: bool = True,
    about: Mapping[str, Any] | None = None,
    policy: Sequence[GuardRule] | None = None,
) -> Mapping[str, Any]:
    """Ask guardrails one after another, each about what the last one left, and carry their verdicts out.

    Where one asks for a person, the step waits for them. `about` is what they are told of a call beside the value,
    `policy` what decides if not the run's and the step's.

    Raises:
        GuardrailBlocked: one said block, or reask where nobody can be asked again.
        Refused: one asked for a person, who said no.
        ApprovalRequired: one asks for a person, and there is no step that could wait for them.
        AnswerRejected: one wants the model to be asked again.
    """

    async def look(guardrail: Guardrail, at: Mapping[str, Any], instead: Mapping[Action, Action]) -> _Left:
        item = _item(run, at, stage, step, about)
        found = dict(await examine(run, guardrail, item, step, policy))
        verdicts = {
            path: verdict.model_copy(update={"action": instead.get(verdict.action, verdict.action)})
            for path, verdict in found.items()
        }
        await _heed(guardrail, item, verdicts, step, may_ask_again=may_ask_again and step is not None)
        strips = any(verdict.action is Action.STRIP for verdict in verdicts.values())
        return (at if all(verdict.allows for verdict in verdicts.values()) else carry_out(at, verdicts)), strips

    for guardrail in guardrails:
        strips, looks = True, 0
        while strips:  # what is left is looked at again, and dropped if there is no end of it
            looks += 1
            value, strips = await look(guardrail, value, {Action.STRIP: Action.DROP} if looks == _MOST_LOOKS else {})
    return value


_Left = tuple[Mapping[str, Any], bool]


def _item(
    run: Run, value: Mapping[str, Any], stage: Stage, step: Step | None, about: Mapping[str, Any] | None
) -> GuardItem:
    if step is None:
        known = (*run.workflow.prompts, *sources_of(value, run.workflow.origins))
        return GuardItem(stage=stage, value=value, state=value, sources=known)
    told: dict[str, Any] = {"tool": step.node.tool_name, "effect": getattr(step.node, "effect", None)}
    if stage is Stage.TOOL_ARGUMENTS and about is None:
        told["arguments"] = step.node.arguments(value)
    told |= about or {}
    told.setdefault("sources", sources_at(step))
    return GuardItem(stage=stage, value=value, node=step.name, state=step.state, **told)


async def _heed(
    guardrail: Guardrail, item: GuardItem, verdicts: Mapping[str, Verdict], step: Step | None, *, may_ask_again: bool
) -> None:
    """Stop, or wait for a person, if a verdict says so."""
    worst = max(verdicts.values(), key=lambda verdict: _SEVERITY.index(verdict.action), default=None)
    if worst is None:
        return
    said = f"the guardrail {guardrail.name!r} says: {worst.reason}"
    if worst.action is Action.BLOCK or (worst.action is Action.REASK and not may_ask_again):
        raise GuardrailBlocked(said)
    if worst.action is Action.REQUIRE_APPROVAL:
        if step is None:
            raise ApprovalRequired(said)
        doubts = {at: one.reason for at, one in verdicts.items() if one.action is Action.REQUIRE_APPROVAL}
        shown = {"guardrail": guardrail.name, "stage": str(item.stage), "doubts": doubts, "value": dict(item.value)}
        shown |= {"tool": item.tool} if item.tool else {}
        await demand(step, Question(kind="approve", text=said, shown=shown), said)
    if worst.action is Action.REASK:
        raise AnswerRejected(said)


_SEVERITY = list(Action)
_MOST_LOOKS = 5
