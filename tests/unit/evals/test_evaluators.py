"""Each evaluator says what its name says, of trials that are good, bad, or not its business."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.definition.passage import Passage
from engine.errors import ConfigurationError, DefinitionError
from engine.evals.case import Case
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import (
    Abstains,
    AllFound,
    Arguments,
    Calls,
    Contains,
    Cost,
    Duration,
    Equals,
    FinalState,
    FitsSchema,
    ForbiddenTools,
    Length,
    Matches,
    Ndcg,
    Near,
    NoLoops,
    Precision,
    QuotesStand,
    Recall,
    ReciprocalRank,
    Safe,
    Score,
    Succeeded,
    Supported,
    Tokens,
    Tools,
    WordF1,
)
from engine.evals.evaluators.evaluator import evaluator_of
from engine.evals.trial import ToolUse, Trial
from engine.records import RunRecord, RunStatus
from guardrails import Pii


def trial(output=None, expect=None, tools=(), passages=(), status=RunStatus.SUCCEEDED, **run):
    fields = {"run_id": "1" * 32, "workflow": "w", "version": "v", "started_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return Trial(
        case=Case(input={}, expect=expect),
        run=RunRecord(status=status, **(fields | run)),
        output=output or {},
        tools=[ToolUse(name, arguments, None, "ok", "once") for name, arguments in tools],
        passages=[Passage(id=str(number), text=text) for number, text in enumerate(passages, 1)],
        model_requests=3,
        retries=1,
    )


async def nobody(*_):
    raise AssertionError("nobody is asked")


async def worth(evaluator, looked_at):
    return (await evaluator.evaluate(looked_at, nobody)).score


SCHEMA = {"type": "object", "required": ["name"]}
BOOK = ("book", {"seat": "aisle", "count": 2})
ALLOWED = {"name": "book", "arguments": {"seat": ["aisle", "window"], "count": [2], "note": ["", None]}}
QUOTE = {"answer": 'It says "refunds take five days" there.'}


@pytest.mark.parametrize(
    ("evaluator", "looked_at", "score"),
    [
        (Equals(of="answer"), trial({"answer": [1]}, {"answer": [1]}), 1),
        (Equals(of="answer"), trial({"answer": "The  Answer!"}, {"answer": "answer"}), 0),
        (Equals(of="answer", by_words=True), trial({"answer": "The  Answer!"}, {"answer": "answer"}), 1),
        (Equals(of="answer", expected="gold"), trial({"answer": 2}, {"gold": 2}), 1),
        (Equals(of="answer"), trial({"answer": 2}), None),
        (Equals(of="answer"), trial({"answer": 2}, {"answer": 2}, status=RunStatus.FAILED), 0),
        (Equals(of="answer"), trial(status=RunStatus.FAILED), None),
        (WordF1(of="answer"), trial({"answer": "the red house"}, {"answer": ["blue", "red car"]}), 0.5),
        (Near(of="answer"), trial({"answer": "so it is $1,024.50"}, {"answer": 1024.5}), 1),
        (Near(of="answer", tolerance=1), trial({"answer": 7}, {"answer": "#### 9"}), 0),
        (Near(of="answer"), trial({"answer": "none"}, {"answer": 9}), 0),
        (Contains(of="answer"), trial({"answer": "Not MADE"}, {"answer": ["not made", "not"]}), 1),
        (Contains(of="answer", never=["sorry"]), trial({"answer": "Sorry"}), 0),
        (Matches(of="answer", pattern="T-[0-9]+"), trial({"answer": "T-17"}), 1),
        (Matches(of="answer", pattern="T-[0-9]+"), trial({"answer": "T-17x"}), 0),
        (FitsSchema(of="answer", json_schema=SCHEMA), trial({"answer": {"name": 1}}), 1),
        (FitsSchema(of="answer", json_schema=SCHEMA), trial({"answer": {}}), 0),
        (Length(of="answer", most=3), trial({"answer": "long"}), 0),
        (Recall(k=2), trial(passages="abc", expect={"passages": ["2", "3"]}), 0.5),
        (Precision(k=2), trial(passages="abc", expect={"passages": ["2", "3"]}), 0.5),
        (Precision(k=10), trial(passages="abc", expect={"passages": ["2", "3"]}), 0.2),
        (AllFound(k=2), trial(passages="abc", expect={"passages": ["2", "3"]}), 0),
        (AllFound(k=3), trial(passages="abc", expect={"passages": ["2", "3"]}), 1),
        (ReciprocalRank(), trial(passages="abc", expect={"passages": ["2", "3"]}), 0.5),
        (Ndcg(), trial(passages="ab", expect={"passages": {"1": 2, "2": 1, "3": 0}}), 1),
        (Ndcg(), trial(passages="a", expect={"passages": []}), None),
        (QuotesStand(of="answer"), trial(QUOTE, passages=["Refunds take five days."]), 1),
        (QuotesStand(of="answer"), trial(QUOTE, passages=["Refunds take ten days."]), 0),
        (QuotesStand(of="answer"), trial({"answer": "nothing"}), None),
        (
            Supported(of="answer"),
            trial({"answer": "Refunds take days. Elephants dance."}, passages=["Refunds take five days."]),
            0.5,
        ),
        (Supported(of="answer"), trial({"answer": "Refunds."}), 0),
        (Tools(), trial(tools=[BOOK, ("pay", {})], expect={"tools": ["pay"]}), 1),
        (Tools(match="exactly"), trial(tools=[BOOK, ("pay", {})], expect={"tools": ["pay"]}), 0),
        (Tools(match="in order"), trial(tools=[BOOK, ("pay", {})], expect={"tools": ["pay", "book"]}), 0),
        (Tools(match="none but"), trial(tools=[BOOK], expect={"tools": ["pay", "book"]}), 1),
        (Arguments(), trial(tools=[BOOK], expect={"tools": [ALLOWED, {"name": "pay"}]}), 0.5),
        (Arguments(), trial(tools=[("book", {"seat": "middle", "count": 2})], expect={"tools": [ALLOWED]}), 0),
        (Arguments(), trial(tools=[("book", {"seat": "aisle", "count": 2, "x": 1})], expect={"tools": [ALLOWED]}), 0),
        (Arguments(), trial(tools=[BOOK], expect={"tools": []}), 0),
        (ForbiddenTools(tools=["pay"]), trial(tools=[BOOK]), 1),
        (ForbiddenTools(tools=["book"]), trial(tools=[BOOK], status=RunStatus.FAILED), 0),
        (Abstains(), trial(expect={"tools": []}), 1),
        (Abstains(), trial(tools=[BOOK], expect={"tools": []}), 0),
        (Calls(tools=1, models=3), trial(tools=[BOOK]), 1),
        (Calls(retries=0), trial(), 0),
        (NoLoops(), trial(tools=[BOOK] * 3), 0),
        (NoLoops(), trial(tools=[BOOK, ("book", {})] * 2), 1),
        (FinalState(world="tests.unit.evals.worlds:seats_of"), trial(tools=[BOOK], expect={"state": {"aisle": 2}}), 1),
        (FinalState(world="tests.unit.evals.worlds:seats_of"), trial(tools=[], expect={"state": {"aisle": 2}}), 0),
        (Cost(most_usd="0.5"), trial(cost_nano_usd=500_000_000), 1),
        (Cost(most_usd="0.5"), trial(), None),
        (Duration(most_seconds=1), trial(duration_ns=2 * 10**9), 0),
        (Tokens(most=10), trial(usage_input_tokens=6, usage_output_tokens=5), 0),
        (Succeeded(), trial(status=RunStatus.BLOCKED), 0),
        (Succeeded(), trial(expect={"status": "blocked"}, status=RunStatus.BLOCKED), 1),
        (Succeeded(), trial(expect={"status": "blocked"}), 0),
        (Length(of="answer", most=3), trial(expect={"status": "blocked"}, status=RunStatus.BLOCKED), None),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "version") else None,
)
async def test_what_a_trial_is_worth(evaluator, looked_at, score):
    assert await worth(evaluator, looked_at) == score


async def test_what_a_guardrail_would_not_let_pass_is_not_safe():
    leaks = trial({"answer": "write to ann@example.org", "note": "none"}, {"answer": "ann@example.org"})
    safe = Safe(guardrail=Pii())
    found = await safe.evaluate(leaks, nobody)
    assert (safe.name, found.score, "ann@" in found.explanation) == ("safe-pii", 0, False)
    assert found.explanation.startswith("answer: mask ")
    assert await worth(Safe(guardrail=Pii(), of="note"), leaks) == 1
    assert await worth(safe, trial({"answer": "write to us"})) == 1
    assert await worth(safe, trial(status=RunStatus.FAILED)) == 0
    assert Safe.load(json.loads(safe.model_dump_json())).version == safe.version


async def test_one_of_your_own_is_a_function():
    assert await worth(evaluator_of("tests.unit.evals.worlds:is_short"), trial({"answer": "so"})) == 1
    assert await worth(evaluator_of("tests.unit.evals.worlds:half"), trial({"answer": "so"})) == 0.5
    assert await worth(evaluator_of("tests.unit.evals.worlds:half"), trial(status=RunStatus.FAILED)) == 0
    for name, said in (("too_good", "from 0 to 1"), ("a_word", "a bool, a number")):
        with pytest.raises(ConfigurationError, match=said):
            await worth(evaluator_of(f"tests.unit.evals.worlds:{name}"), trial({"answer": "so"}))
    assert evaluator_of("engine.evals.evaluators:Ndcg").name == "ndcg-10"
    assert evaluator_of("tests.unit.evals.worlds:NEAR").name == "near-answer"
    with pytest.raises(DefinitionError, match="of: field required"):
        evaluator_of("engine.evals.evaluators:Equals")
    with pytest.raises(DefinitionError, match="a lambda"):
        evaluator_of(lambda _: True)


def test_evaluators_have_names_versions_and_say_whether_they_repeat_themselves():
    found = Evaluation(evaluators={"w": [Equals(of="answer"), "tests.unit.evals.worlds:is_short"]}).of("w", [Ndcg])
    assert [one.name for one in found] == ["succeeded", "equals-answer", "is-short", "ndcg-10"]
    assert all(one.is_deterministic for one in found)
    assert len({one.version for one in found}) == 4
    assert Equals(of="answer").version == Equals(of="answer").version != Equals(of="answer", by_words=True).version
    with pytest.raises(ConfigurationError, match="two evaluators are called equals-answer"):
        Evaluation(evaluators={"w": [Equals(of="answer")]}).of("w", [Equals(of="answer", by_words=True)])


@given(
    st.lists(st.sampled_from("abcdef"), unique=True), st.sets(st.sampled_from("abcdef"), min_size=1), st.integers(1, 6)
)
def test_measures_of_retrieval_agree_where_all_or_nothing_was_found(found, wanted, k):
    grades = dict.fromkeys(wanted, 1.0)
    top = found[:k]
    scores = {type(one): one.worth(top, grades) for one in (Recall(k=k), Ndcg(k=k), AllFound(k=k), ReciprocalRank(k=k))}
    assert all(0 <= score <= 1 + 1e-12 for score in scores.values())
    assert (scores[AllFound] == 1) == (scores[Recall] == 1)
    assert (scores[Recall] == 0) == (scores[Ndcg] == 0) == (scores[ReciprocalRank] == 0)


def test_a_score_tells_what_was_measured():
    assert Length(of="answer", most=3).score(trial({"answer": "long"})) == Score(0.0, value=4.0)
