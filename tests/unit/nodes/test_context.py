"""What a model is told: limits hold, what belongs together stays together, and numbers of passages stay true."""

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from engine.definition.context_policy import Passages, ToolResults
from engine.models.tokens import estimate, estimate_message
from engine.nodes.relevance import shown_passages
from engine.nodes.trimming import fit_tool_results, newest_messages, rounds

TEXTS = st.text(alphabet="ab é\n", max_size=80)


@st.composite
def talks(draw: st.DrawFn) -> list[BaseMessage]:
    messages: list[BaseMessage] = []
    for number, results in enumerate(draw(st.lists(st.lists(TEXTS, max_size=3), max_size=6))):
        ids = [f"{number}-{one}" for one in range(len(results))]
        calls = [{"name": "t", "args": {}, "id": one} for one in ids]
        messages.append(AIMessage("", tool_calls=calls) if ids else HumanMessage(draw(TEXTS)))
        messages += [ToolMessage(text, tool_call_id=one) for one, text in zip(ids, results, strict=True)]
    return messages


@given(talks(), st.integers(32, 200))
def test_the_newest_that_fit_are_kept_in_order_and_never_an_orphan(messages, limit):
    kept = newest_messages(messages, limit)
    assert sum(map(estimate_message, kept)) <= limit
    assert kept == messages[len(messages) - len(kept) :]
    assert [one for whole in rounds(kept) for one in whole] == kept


@given(talks(), st.integers(32, 100))
def test_tool_results_hold_their_limits(messages, limit):
    kept, _ = fit_tool_results(messages, ToolResults(max_tokens=limit, each_tokens=32))
    results = [estimate(message.text) for message in kept if isinstance(message, ToolMessage)]
    assert sum(results) <= limit
    assert all(size <= 32 for size in results)
    assert [one for whole in rounds(kept) for one in whole] == kept
    assert [one for one in kept if isinstance(one, HumanMessage)] == [
        m for m in messages if isinstance(m, HumanMessage)
    ]


def test_calls_without_answers_and_answers_without_calls_are_left_out():
    calling = AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "1"}])
    assert rounds([ToolMessage("x", tool_call_id="0"), calling, HumanMessage("q")]) == [[HumanMessage("q")]]


def test_passages_keep_their_numbers_and_what_is_left_out_is_said():
    refund = "Refunds take five days after the goods have come back to us in one piece."
    passages = [
        {"id": "a", "text": "Our office opens at nine and closes at noon on every weekday of the year."},
        {"id": "b", "text": refund},
        {"id": "c", "text": refund.upper()},
    ]
    policy = Passages(of="passages", query="question", max_tokens=32)
    text, left_out = shown_passages(passages, "How long do refunds take?", policy)
    assert text == f"[1] left out\n\n[2]\n{refund}\n\n[3] left out"
    assert left_out == {"near_duplicates": ["c"], "passages": ["a"]}


@given(st.lists(TEXTS, max_size=8), st.integers(32, 120))
def test_passages_hold_their_limit(texts, limit):
    passages = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    text, _ = shown_passages(passages, "a b", Passages(of="p", query="q", max_tokens=limit))
    assert estimate(text) <= limit
