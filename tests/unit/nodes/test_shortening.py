"""A request that is too long: it is said in fewer words first, and then to a model that reads more."""

from typing import Any

import pytest

from engine import Conversation, Generate, Model, Price
from engine.definition.context_policy import History, Passages
from engine.errors import ContextTooLong
from engine.testing import ScriptedModel
from tests.flows import app_for, line

PASSAGES = [{"id": str(number), "text": f"passage {number}"} for number in range(1, 6)]


def reads(most: int, name: str) -> Any:
    """Give a script of a model that can read so many characters."""

    def say(messages: Any) -> Any:
        whole = sum(len(message.text) for message in messages)
        return ContextTooLong(f"{whole} is too long") if whole > most else name

    return say


def draft(**fields: Any) -> Generate:
    return Generate(
        **({"model": "large", "prompt": "{passages}\n{question}", "into": "answer", "max_tokens": 9} | fields)
    )


def models(*most: int) -> list[ScriptedModel]:
    return [ScriptedModel(script=[reads(one, f"reads {one}")]) for one in most]


def role(*chats: ScriptedModel) -> Model:
    backup = role(*chats[1:]) if chats[1:] else None
    return Model(chats[0], price=Price(input="1", output="1"), backup=backup)


async def run(node: Generate, *chats: ScriptedModel) -> tuple[Any, Any, list[Any]]:
    async with app_for(line(("draft", node)), large=role(*chats)) as app:
        result = await app.run("line", {"question": "q", "passages": PASSAGES})
        (step,) = await app.ledger.steps(result.run_id)
        calls = [(call, await app.ledger.value(call.request_payload)) for call in await app.ledger.calls(result.run_id)]
        return result, step, calls


@pytest.mark.parametrize("policy", [None, Passages(of="passages")])
async def test_fewer_passages_are_told_when_all_are_too_long(policy):
    (chat,) = models(30)
    result, step, calls = await run(draft(passages=policy), chat)
    assert (result.output["answer"], step.degraded) == ("reads 30", "context shortened")
    assert [call.status for call, _ in calls] == ["failed", "failed", "ok"]
    assert calls[-1][1]["left_out"]["shortened"] == {"passages": 3}
    assert "[2]" in chat.asked[-1][-1].text and "[3]" not in chat.asked[-1][-1].text


async def test_a_model_that_reads_more_is_told_all_when_the_first_cannot_even_read_the_least():
    small, large = models(5, 1000)
    result, step, _ = await run(draft(), small, large)
    assert (result.output["answer"], step.degraded) == ("reads 1000", None)
    assert "[5]" in large.asked[-1][-1].text


async def test_where_nothing_can_be_left_out_the_next_model_is_asked_at_once():
    small, large = models(0, 1000)
    result, _, calls = await run(draft(prompt="{question}"), small, large)
    assert (result.output["answer"], len(calls)) == ("reads 1000", 2)


async def test_where_no_model_reads_it_the_run_says_so():
    result, _, calls = await run(draft(), *models(5))
    assert (result.status, len(calls)) == ("failed", 4)
    assert "too long for the model of 'large', and no other stands behind it" in str(result.error)


async def test_the_older_half_of_the_conversation_is_left_out_first():
    chat = ScriptedModel(script=["one", "two", reads(6, "three")])
    node = draft(prompt="{question}", history=History())
    workflow = line(("draft", node), conversation=Conversation(says="question", answers="answer"))
    async with app_for(workflow, large=Model(chat, price=Price(input="1", output="1"))) as app:
        for question in "abc":
            result = await app.run("line", {"question": question}, conversation_id="c")
    assert result.output["answer"] == "three"
    assert [message.text for message in chat.asked[-1]] == ["b", "two", "c"]
