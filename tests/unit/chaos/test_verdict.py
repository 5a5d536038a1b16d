"""The verdict of chaos: every fault that a ledger could have is found, and what a kill leaves by design is none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.chaos.expected import Expected
from engine.chaos.facts import RunFacts
from engine.chaos.report import Report
from engine.chaos.verdict import judge
from engine.chaos.witness import Seen
from engine.records import CallRecord, RunRecord, RunStatus, StepRecord
from engine.usage import Limits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "a" * 32


def step(node: str = "draft", **fields) -> StepRecord:
    given = {"step_id": node, "run_id": RUN, "seq": 1, "node_name": node, "node_kind": "k", "visit": 1}
    return StepRecord(**(given | {"started_at": NOW, "status": "ok"} | fields))


def call(call_id: str = "c1", node: str = "draft", **fields) -> CallRecord:
    given = {"call_id": call_id, "run_id": RUN, "step_id": node, "node_name": node, "ordinal": 1, "attempt": 1}
    said = {"operation_name": "chat", "target": "large", "started_at": NOW, "request_hash": "h", "cost_nano_usd": 10}
    used = {"usage_input_tokens": 10, "usage_output_tokens": 5, "charged_tokens": 15, "charged_nano_usd": 10}
    return CallRecord(**(given | said | used | fields))


def action(call_id: str = "t1", node: str = "pay", **fields) -> CallRecord:
    said = {"operation_name": "execute_tool", "tool_effect": "once", "idempotency_key": "k", "charged_tokens": 0}
    used = {"usage_input_tokens": None, "usage_output_tokens": None, "cost_nano_usd": 0, "charged_nano_usd": 0}
    return call(call_id, node, **(said | used | fields))


def cut(row: CallRecord, **fields) -> CallRecord:
    left = {"status": "unknown", "error_type": "ProcessEnded", "cost_nano_usd": None}
    nothing = {"usage_input_tokens": None, "usage_output_tokens": None}
    return replace(row, **(left | nothing | fields))


def saw(what: str, row: CallRecord, **fields) -> Seen:
    given = {"run": RUN, "step": row.step_id, "node": row.node_name, "call": row.call_id, "ordinal": row.ordinal}
    said = {"request": row.request_hash, "operation": row.operation_name, "effect": row.tool_effect}
    tokens = (row.usage_input_tokens or 0) + (row.usage_output_tokens or 0) if what == "answered" else 0
    return Seen(what=what, **(given | said | {"key": row.idempotency_key, "tokens": tokens} | fields))


def both(*rows: CallRecord) -> list[Seen]:
    return [saw(what, row) for row in rows for what in ("sent", "answered")]


def run(*calls: CallRecord, steps=None, seen=None, totals=None, **fields) -> RunFacts:
    """Give the facts of a run whose books are in order, but for what is said."""
    costs = [one.cost_nano_usd for one in calls]
    steps = [step(name) for name in dict.fromkeys(one.node_name for one in calls)] if steps is None else steps
    sums = {
        "steps": len(steps),
        "calls": len(calls),
        "usage_input_tokens": sum(one.usage_input_tokens or 0 for one in calls),
        "usage_output_tokens": sum(one.usage_output_tokens or 0 for one in calls),
        "cost_nano_usd": None if None in costs else sum(costs),
    }
    ended = {"status": RunStatus.SUCCEEDED, "started_at": NOW, "ended_at": NOW, "duration_ns": 1}
    said = {"run_id": RUN, "workflow": "w", "version": "v"} | sums | ended | (totals or {})
    return RunFacts(
        **{"run_id": RUN, "record": RunRecord(**said), "steps": steps, "calls": calls}
        | {"seen": both(*calls) if seen is None else seen}
        | fields
    )


def zeros(facts: RunFacts, expected: Expected | None = None, **limits) -> dict[str, int]:
    verdict = judge([(facts, expected or Expected())], Limits(**limits))
    return {kind: count for kind, count in verdict.zeros.items() if count}


EXPECTED = Expected(status=RunStatus.SUCCEEDED, path=[("draft", 1)], output={"answer": "yes"})


def test_a_run_whose_books_are_in_order_is_clean():
    facts = run(call(), output={"answer": "yes"})
    assert zeros(facts, EXPECTED, tokens=15, nano_usd=10, calls=1, steps=1) == {}
    assert Report(workflow="w", version="v", seed=0, runs=1, undisturbed=0, verdict=judge([], Limits())).is_clean


def test_steps_inside_a_step_have_the_names_of_others():
    items = [step("map/each", step_id=f"each-{item}", parent_step_id="map", item=item) for item in (0, 1)]
    turns = [step("map/each/ask", step_id=f"ask-{item}", parent_step_id=f"each-{item}") for item in (0, 1)]
    assert zeros(run(steps=[step("map"), *items, *turns])) == {}


@pytest.mark.parametrize("ended", [{"status": "cancelled"}, {"status": "waiting"}, {"parent_step_id": "draft"}])
def test_a_step_that_came_to_no_end_of_its_own_is_no_fault(ended):
    lost = step("other", **({"status": "failed"} | ended))
    assert zeros(run(steps=[step(), lost])) == {}
    assert zeros(run(steps=[step(), step("other", status="failed")])) == {"ledger_mismatches": 1}


def test_a_call_that_a_kill_cut_may_be_sent_again_and_is_counted_aside():
    first, second = cut(call("c1")), call("c2", attempt=2)
    verdict = judge([(run(first, second), Expected())], Limits())
    assert not verdict.findings
    assert (verdict.cut, verdict.sent_again) == (1, 1)


def test_an_action_whose_probe_says_it_was_not_done_may_be_done():
    rows = cut(action("t1"), status="failed", resolution="probe"), action("t2", attempt=2)
    seen = [saw("sent", rows[0]), *both(rows[1])]
    verdict = judge([(run(*rows, seen=seen), Expected())], Limits())
    assert not verdict.findings
    assert verdict.by_probe == 1


def test_an_action_that_a_person_guessed_about_is_counted_aside():
    rows = cut(action("t1"), status="failed", resolution="retry"), action("t2", attempt=2)
    seen = [saw("sent", rows[0]), saw("guessed", rows[0]), saw("guessed", rows[0]), *both(rows[1])]
    verdict = judge([(run(*rows, seen=seen), Expected())], Limits())
    assert not verdict.findings
    assert (verdict.guessed, verdict.by_witness) == (1, 0)


def test_a_model_may_be_asked_anew_when_its_answer_was_turned_down():
    steps = [step(status="failed", error_type="AnswerRejected"), step(attempt=2)]
    rows = call("c1"), call("c2", attempt=2)
    assert zeros(run(*rows, steps=steps)) == {}


def test_a_run_that_used_up_its_budget_or_whose_model_failed_is_not_lost():
    for ended in ({"status": RunStatus.BUDGET_EXCEEDED}, {"status": RunStatus.FAILED, "error_type": "RateLimited"}):
        assert zeros(run(call(), totals=ended), EXPECTED) == {}


@pytest.mark.parametrize(
    "facts",
    [
        RunFacts(run_id=RUN, record=None),
        run(call(), totals={"status": RunStatus.RUNNING}),
        run(call(), totals={"status": RunStatus.FAILED, "error_type": "NodeFailed"}),
        run(call(), totals={"status": RunStatus.NEEDS_REVIEW, "error_type": "EffectUnknown"}),
        run(call(), output={"answer": "no"}),
        run(call(node="other"), output={"answer": "yes"}),
    ],
    ids=["no row", "still running", "failed", "waits for a person", "another answer", "another way"],
)
def test_a_lost_run_is_found(facts):
    assert zeros(facts, EXPECTED) == {"runs_lost": 1}


def test_a_call_that_was_paid_twice_is_found():
    rows = call("c1"), call("c2", attempt=2)
    assert zeros(run(*rows)) == {"calls_paid_twice": 1}
    idempotent = action("t1", tool_effect="idempotent"), action("t2", tool_effect="idempotent", attempt=2)
    assert zeros(run(*idempotent)) == {"calls_paid_twice": 1, "ledger_mismatches": 1}


def test_an_action_that_was_done_twice_is_found():
    answered = cut(action("t1"), status="failed", resolution="probe")
    assert zeros(run(answered, action("t2", attempt=2))) == {"once_effects_repeated": 1}
    silent = cut(action("t1")), action("t2", attempt=2)
    assert zeros(run(*silent, seen=[saw("sent", silent[0]), *both(silent[1])])) == {"once_effects_repeated": 1}


def test_an_action_that_undisturbed_runs_do_twice_may_be_done_twice():
    twice = Expected.of([run(action("t1", "pay"), action("t2", "pay", ordinal=2))])
    assert twice.actions == {("pay", "h"): 2}
    assert zeros(run(action("t1"), action("t2", ordinal=2)), twice) == {}
    assert zeros(run(action("t1"), action("t2", ordinal=2))) == {"once_effects_repeated": 1}


@pytest.mark.parametrize(
    "facts",
    [
        run(steps=[step()], seen=[saw("sent", call("c9"))]),
        run(call(), seen=[]),
        run(call(status="failed", error_type="BadRequest")),
        run(call(), totals={"calls": 2}),
        run(call(), totals={"usage_input_tokens": 11}),
        run(call(), totals={"cost_nano_usd": None}),
        run(call(), totals={"steps": 2}),
        run(call(), totals={"ended_at": None}),
        run(call(), has_checkpoint=True),
        run(call(status="in_flight")),
        run(call(), steps=[step(status="running"), step(attempt=2)]),
        run(call(), steps=[step(), step(attempt=3, status="failed")]),
        run(call(), steps=[step(), step("check", status="failed")]),
        run(call("c1"), call("c2", ordinal=2, step_id="other")),
        run(cut(call("c1")), call("c2")),
    ],
    ids=[
        *("sent without a row", "ok and never answered", "answered and failed", "calls", "tokens", "cost", "steps"),
        *("no end", "a checkpoint is left", "in flight", "a running step", "a gap between attempts"),
        *("a step that was never finished", "a call of no step", "an attempt with two rows"),
    ],
)
def test_a_row_that_is_wrong_is_found(facts):
    found = zeros(facts)
    assert found.pop("budget_overspend", 0) <= 1
    assert found == {"ledger_mismatches": 1}


def test_a_visit_that_was_finished_twice_is_found():
    facts = run(call(), steps=[step(), step(attempt=2)])
    assert zeros(facts) == {"ledger_mismatches": 1}
    other = run(call(), steps=[step(), step(step_id="another")])
    assert zeros(other) == {"ledger_mismatches": 2}


@pytest.mark.parametrize("limit", [{"tokens": 14}, {"nano_usd": 9}, {"calls": 0}, {"steps": 0}])
def test_a_budget_that_was_overspent_is_found(limit):
    assert set(zeros(run(call()), **limit)) == {"budget_overspend"}


def test_tokens_that_were_used_and_not_charged_are_found():
    row = call(charged_tokens=0)
    assert zeros(run(row)) == {"budget_overspend": 1}


def test_what_differs_between_undisturbed_runs_is_not_expected():
    one, two = run(call(), output={"id": 1, "answer": "yes"}), run(call(), output={"id": 2, "answer": "yes"})
    expected = Expected.of([one, two])
    assert expected.output == {"answer": "yes"}
    assert expected.path == [("draft", 1)]
    other = run(call(), totals={"status": RunStatus.BLOCKED}, steps=[])
    assert Expected.of([one, other]).status is None
    assert Expected.of([one, other]).path is None


def test_the_report_counts_the_faults_and_names_them():
    verdict = judge([(RunFacts(run_id=RUN, record=None), Expected())], Limits())
    report = Report(workflow="w", version="v", seed=0, runs=1, undisturbed=0, kills={"before send": 2}, verdict=verdict)
    assert not report.is_clean
    said = report.to_json()
    assert (said["kills"], said["runs_lost"], said["calls_paid_twice"]) == (2, 1, 0)
    assert said["findings"] == [{"kind": "runs_lost", "run_id": RUN, "sentence": "it is not in the ledger"}]
