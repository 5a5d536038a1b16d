"""Examine: asks a guardrail in its time, and writes down what it says, also when it fails or only watches."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from engine.definition.guard_policy import GuardRule, decided
from engine.definition.guardrail import Action, GuardItem, Guardrail, Stage, Verdict, emptied, texts_in
from engine.errors import BreakerOpen, CallError, ConfigurationError, DefinitionError, GuardrailFailed
from engine.records import GuardTimeRecord, VerdictRecord
from engine.runtime.run import Run, Step
from engine.runtime.second_opinion import with_second_opinions

Verdicts = list[tuple[str, Verdict]]


async def examine(
    run: Run,
    guardrail: Guardrail,
    item: GuardItem,
    step: Step | None = None,
    policy: Sequence[GuardRule] | None = None,
) -> Verdicts:
    """Ask a guardrail and write down what comes of it; give what is to be heeded.

    The guardrail finds, the policy decides: that of the run and the step if no other is given.

    Raises:
        GuardrailFailed: it broke down or took too long, and what it did not see may not go on.
    """
    began = run.clock.monotonic_ns()
    broken: str | None = None
    verdicts: Verdicts = []
    try:
        async with asyncio.timeout(guardrail.seconds):
            verdicts = await guardrail.weigh(item)
    except (ConfigurationError, DefinitionError):
        raise  # it was never set up right, which nobody should have to find in the ledger
    except TimeoutError:
        broken = f"it took longer than its {guardrail.seconds:g} seconds"
    except Exception as error:
        broken = f"it failed: {type(error).__name__}: {error}"
    if step is not None:
        try:
            verdicts = await with_second_opinions(guardrail, item, verdicts, step)
        except (CallError, BreakerOpen) as error:  # no reason to fall back: that would be a way around
            broken = f"nobody else could be asked: {error}"
    run.guard_times[guardrail.name, _two_digits(run.clock.monotonic_ns() - began)] += 1
    verdicts = by_policy(policy_at(run, step) if policy is None else policy, guardrail, item, verdicts)
    if broken is not None:
        verdicts = [(item.path, _instead(guardrail, item, broken))]
    if guardrail.shadow:
        verdicts = [(path, _watched(verdict)) for path, verdict in verdicts]
    if any(verdict.action is Action.STRIP for _, verdict in verdicts):
        verdicts = list(emptied(item.value, dict(verdicts), item.path).items())
    verdicts = with_tokens(run, guardrail, item, verdicts)
    _write(run, guardrail, item, verdicts, step)
    if broken is not None and not all(verdict.allows for _, verdict in verdicts):
        raise GuardrailFailed(f"the guardrail {guardrail.name!r} was not asked: {broken}")
    return verdicts


def guard_times(run: Run) -> list[GuardTimeRecord]:
    """Take what checks took since they were last taken."""
    taken, run.guard_times = run.guard_times, Counter()
    return [
        GuardTimeRecord(run_id=run.record.run_id, guardrail=name, duration_ns=duration, checks=checks)
        for (name, duration), checks in taken.items()
    ]


def _two_digits(number: int) -> int:
    return round(number, 2 - len(str(number)))


def policy_at(run: Run, step: Step | None) -> Sequence[GuardRule]:
    """Give the rows that hold for a step: those of its workflow, then of the workflows around it."""
    if step is None:
        return run.workflow.policy
    scope, parent = step.scope, step.scope.parent
    around = () if parent is None else policy_at(run, parent)
    return (
        around if parent is not None and parent.scope.workflow is scope.workflow else (*scope.workflow.policy, *around)
    )


def by_policy(policy: Sequence[GuardRule], guardrail: Guardrail, item: GuardItem, verdicts: Verdicts) -> Verdicts:
    """Give what a policy makes of verdicts, without those that come to nothing."""
    texts = dict(texts_in(item.value, item.path)) if policy and verdicts else {}
    made = [
        (path, decided(policy, guardrail, item.model_copy(update={"path": path}), verdict, texts.get(path, "")))
        for path, verdict in verdicts
    ]
    return [(path, verdict) for path, verdict in made if not verdict.is_nothing]


def with_tokens(run: Run, guardrail: Guardrail, item: GuardItem, verdicts: Verdicts) -> Verdicts:
    """Give verdicts with what stands in place of the spans that they hash or tokenise."""
    if not any(verdict.spans for _, verdict in verdicts):
        return verdicts
    texts = dict(texts_in(item.value, item.path))
    return [(path, run.vault.put_in(guardrail.name, verdict, texts.get(path, ""))) for path, verdict in verdicts]


def _instead(guardrail: Guardrail, item: GuardItem, why: str) -> Verdict:
    """Say what is done where a guardrail gave no verdict; before a side effect that is always a no."""
    acts = item.stage is Stage.TOOL_ARGUMENTS and item.effect != "read"
    return Verdict(action=Action.FLAG if guardrail.on_error == "open" and not acts else Action.BLOCK, reason=why)


def _watched(verdict: Verdict) -> Verdict:
    if verdict.allows:
        return verdict
    said = f"in shadow, would {verdict.action}: {verdict.reason}"
    return Verdict(action=Action.FLAG, reason=said, score=verdict.score, spans=verdict.spans)


def _write(run: Run, guardrail: Guardrail, item: GuardItem, verdicts: Verdicts, step: Step | None) -> None:
    if not verdicts:
        return
    now = run.clock.now()
    run.write(
        VerdictRecord(
            run_id=run.record.run_id,
            step_id=step.record.step_id if step else None,
            node_name=step.name if step else None,
            guardrail=guardrail.name,
            stage=item.stage,
            action=verdict.action,
            reason=verdict.reason,
            path=path,
            score=verdict.score,
            spans=[span.model_dump(exclude_none=True) for span in verdict.spans],
            created_at=now,
        )
        for path, verdict in verdicts
    )
