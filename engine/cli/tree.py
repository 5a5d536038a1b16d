"""A run as a tree: its steps, those inside them, their attempts, and what guardrails and people said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from engine.cli.render import money, shown_status, took
from engine.records import CallRecord, OutcomeRecord, QuestionRecord, RunRecord, StepRecord, VerdictRecord
from engine.runtime.history import MODEL_CALL
from engine.store.ledger import SqlLedger
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """All that the ledger has of a run.

    Attributes:
        left_out: what a model was not told, by the id of the call.
    """

    run: RunRecord
    steps: Sequence[StepRecord]
    calls: Sequence[CallRecord]
    verdicts: Sequence[VerdictRecord]
    questions: Sequence[QuestionRecord]
    outcomes: Sequence[OutcomeRecord]
    left_out: Mapping[str, Mapping[str, Any]]

    @classmethod
    async def of(cls, ledger: SqlLedger, run: str) -> "Recorded":
        """Read it.

        Raises:
            InputError: there is no such run.
        """
        record = await ledger.run(run)
        calls = await ledger.calls(record.run_id)
        return cls(
            run=record,
            steps=await ledger.steps(record.run_id),
            calls=calls,
            verdicts=await ledger.verdicts(record.run_id),
            questions=await ledger.questions(record.run_id),
            outcomes=await ledger.outcomes(record.run_id),
            left_out=await ledger.left_out([call for call in calls if call.operation_name == MODEL_CALL]),
        )


def run_tree(recorded: Recorded, payloads: Mapping[str, str]) -> Tree:
    """Draw a run; a step that was tried several times has a branch for each."""
    run = recorded.run
    totals = f"{took(run.duration_ns)}  {run.steps} steps  {run.calls} calls  {money(to_usd(run.cost_nano_usd))}"
    tree = Tree(f"[bold]{escape(run.workflow)}[/bold]@{run.version[:12]}  {shown_status(run.status)}  {totals}")
    if run.error_message:
        tree.add(f"[red]{escape(run.error_message)}[/red]")
    drawn: dict[str, list[tuple[datetime, Tree]]] = {}

    def place(step_id: str | None, when: datetime) -> Tree:
        """Give the branch of the latest try of a step that had begun by then."""
        tries = drawn.get(step_id or "", [])
        begun = [branch for began, branch in tries if began <= when]
        return begun[-1] if begun else tries[0][1] if tries else tree

    for step in sorted(recorded.steps, key=lambda step: step.node_name.count("/")):  # those around others first
        branch = place(step.parent_step_id, step.started_at).add(_step(step))
        drawn.setdefault(step.step_id, []).append((step.started_at, branch))
    for call in recorded.calls:
        branch = place(call.step_id, call.started_at).add(_call(call))
        if call.call_id in recorded.left_out:
            branch.add(_left_out(recorded.left_out[call.call_id]))
    for verdict in recorded.verdicts:
        place(verdict.step_id, verdict.created_at).add(_verdict(verdict))
    for question in recorded.questions:
        place(question.step_id, question.asked_at).add(_question(question))
    for outcome in recorded.outcomes:
        tree.add(_outcome(outcome))
    for step in recorded.steps if payloads else ():
        _draw_payloads(place(step.step_id, step.started_at), step, payloads)
    return tree


def _draw_payloads(branch: Tree, step: StepRecord, payloads: Mapping[str, str]) -> None:
    for title, name in (("read", step.input_payload), ("wrote", step.update_payload)):
        if name is not None and name in payloads:
            branch.add(f"[dim]{title}[/dim] {escape(payloads[name])}")


def _step(step: StepRecord) -> str:
    name = step.node_name.rpartition("/")[2] if step.parent_step_id else step.node_name
    parts = [escape(name), shown_status(step.status), took(step.duration_ns)]
    parts += [f"item {step.item}"] if step.item is not None else []
    parts += [f"visit {step.visit}"] if step.visit > 1 else []
    parts += ["from the cache"] if step.cached else []
    parts += [f"[yellow]fell back to {escape(step.fallback_to)}[/yellow]"] if step.fallback_to else []
    parts += [f"[red]{escape(step.error_message)}[/red]"] if step.error_message else []
    return "  ".join(parts)


def _call(call: CallRecord) -> str:
    target = call.tool_name or f"{call.target} = {call.provider_name}:{call.request_model}"
    parts = [f"{call.operation_name} {escape(target)}", shown_status(call.status), took(call.duration_ns)]
    parts += [f"attempt {call.attempt}"] if call.attempt > 1 else []
    if call.usage_input_tokens is not None:
        parts.append(f"{call.usage_input_tokens:,} + {call.usage_output_tokens or 0:,} tokens")
    if call.provider_name is not None:
        parts.append(money(to_usd(call.cost_nano_usd)))
    parts += [f"[red]{escape(call.error_message)}[/red]"] if call.error_message else []
    return "  ".join(parts)


def _left_out(left_out: Mapping[str, Any]) -> str:
    """Say what the model was not told: how many turns, which passages."""
    parts = [
        f"{name.replace('_', ' ')} {what if isinstance(what, str | int) else ', '.join(what)}"
        for name, what in left_out.items()
    ]
    return f"[dim]left out[/dim]  {escape('  '.join(parts))}"


def _verdict(verdict: VerdictRecord) -> str:
    where = f"{verdict.stage} {verdict.path}".strip()
    said = f"guardrail {verdict.guardrail} at {where}: {verdict.action}"
    return f"[yellow]{escape(said)}[/yellow]  {escape(verdict.reason)}"


def _outcome(outcome: OutcomeRecord) -> str:
    came = "[green]success[/green]" if outcome.success else "[red]failure[/red]"
    worth = "" if outcome.value is None else f"  worth {outcome.value:g}"
    return f"{escape(outcome.name)}: {came}{worth}  by {escape(outcome.source)}  {escape(outcome.note or '')}".rstrip()


def _question(question: QuestionRecord) -> str:
    parts: list[Any] = [f"question {question.question_id}", shown_status(question.status), escape(question.text)]
    parts += [f"by {escape(question.answered_by)}"] if question.answered_by else []
    parts += [escape(question.reason)] if question.reason else []
    return "  ".join(parts)
