"""Conversations: a run hears the turns before it, by policy, and the ledger keeps each text once."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select

from engine.definition.context_policy import History
from engine.definition.conversation import Conversation
from engine.definition.node import StepContext, Update
from engine.definition.workflow import Workflow
from engine.errors import BadRequest, DefinitionError, RateLimited
from engine.nodes.generate import Generate
from engine.store import tables
from engine.store.reader import content_at
from engine.testing import ScriptedModel, StillClock
from tests.flows import app_for, line, scripted


def chat(history: History | None = None, **fields: Any) -> Workflow:
    policy = History() if history is None else history
    draft = Generate(model="large", prompt="{question}", into="answer", max_tokens=50, history=policy)
    given = {"conversation": Conversation(says="question", answers="answer"), "output": ["answer"]}
    return line(("draft", draft), **(given | fields))


async def talk(app: Any, *questions: str, **who: Any) -> Any:
    result = None
    for question in questions:
        result = await app.run("line", {"question": question}, **({"conversation_id": "c"} | who))
        result.raise_for_status()
    return result


def heard(model: ScriptedModel) -> list[str]:
    return [str(message.content) for message in model.asked[-1]]


async def test_a_run_hears_the_turns_before_it():
    model = ScriptedModel(script=["one", "two", "three"])
    async with app_for(chat(), large=model) as app:
        await talk(app, "a", "b", "c")
    assert heard(model) == ["a", "one", "b", "two", "c"]


async def test_only_the_newest_turns_that_fit_are_heard_and_the_rest_is_said_to_be_left_out():
    model = ScriptedModel(script=["x"])
    async with app_for(chat(History(last=1)), large=model) as app:
        result = await talk(app, "a", "b", "c")
        assert heard(model) == ["b", "x", "c"]
    model = ScriptedModel(script=["word " * 20])
    async with app_for(chat(History(max_tokens=50)), large=model) as app:
        result = await talk(app, "a", "b", "c", "d")
        (call,) = await app.ledger.calls(result.run_id)
        assert (await app.ledger.value(call.request_payload))["left_out"] == {"turns": 2}
    assert len(heard(model)) == 3


async def test_another_tenant_conversation_or_failed_run_is_never_heard():
    model = ScriptedModel(script=["x", "x", RateLimited("later"), RateLimited("l"), RateLimited("l"), "x"])
    async with app_for(chat(), large=model) as app:
        await talk(app, "secret", tenant="other")
        await talk(app, "elsewhere", conversation_id="d")
        await app.run("line", {"question": "fails"}, conversation_id="c")
        await talk(app, "mine")
    assert heard(model) == ["mine"]


async def test_a_run_that_goes_on_hears_what_had_been_said_when_it_began():
    model, clock = ScriptedModel(script=["one", BadRequest("no"), "two", "three"]), StillClock()
    async with app_for(chat(), clock=clock, large=model) as app:
        await talk(app, "a")
        failed = await app.run("line", {"question": "b"}, conversation_id="c")
        clock.advance(60)
        await talk(app, "c")
        await app.resume(failed.run_id)
    assert heard(model) == ["a", "one", "b"]


async def test_older_turns_give_way_to_a_summary_that_later_runs_share():
    model, small = ScriptedModel(script=["word " * 10]), ScriptedModel(script=["they spoke"])
    history = History(last=4, summarise="small")
    async with app_for(chat(history), large=model, small=small) as app:
        await talk(app, *"abcdef")
        first = heard(model)
        assert first[0].endswith("they spoke")
        assert [text for text in first[1:] if len(text) == 1] == ["d", "e", "f"]
        result = await talk(app, "g")
        assert heard(model)[0] == first[0]
        assert len(small.asked) == 1
        (call,) = await app.ledger.calls(result.run_id)
        assert "summarised_through" in (await app.ledger.value(call.request_payload))["left_out"]


@pytest.mark.parametrize("said", ["", "far longer " * 200, RateLimited("later")])
async def test_a_summary_that_fails_never_replaces_history(said):
    model, small = ScriptedModel(script=["yes"]), scripted(said)
    async with app_for(chat(History(last=2, summarise="small")), large=model, small=small) as app:
        await talk(app, *"abcd")
    assert heard(model) == ["b", "yes", "c", "yes", "d"]


class Breaking(Generate):
    """Break off after the answer, once."""

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        update = await super().run(inputs, ctx)
        if inputs["question"] == "breaks" and not BROKE:
            BROKE.append(True)
            raise ValueError("broken")
        return update


BROKE: list[bool] = []


async def test_a_summary_that_failed_is_not_tried_again_when_the_run_goes_on_so_that_no_answer_is_paid_twice():
    BROKE.clear()
    model, small = ScriptedModel(script=["yes"]), ScriptedModel(script=[*[RateLimited("later")] * 3, "they spoke"])
    draft = Breaking(
        model="large",
        prompt="{question}",
        into="answer",
        max_tokens=50,
        history=History(last=2, summarise="small"),
    )
    workflow = line(("draft", draft), conversation=Conversation(says="question", answers="answer"), output=["answer"])
    async with app_for(workflow, large=model, small=small) as app:
        await talk(app, *"abc")
        failed = await app.run("line", {"question": "breaks"}, conversation_id="c")
        assert failed.status == "failed"
        asked = len(model.asked), len(small.asked)
        (await app.resume(failed.run_id)).raise_for_status()
        assert (len(model.asked), len(small.asked)) == asked
        summary = next(step for step in await app.ledger.steps(failed.run_id) if step.node_name == "draft/summarise")
        assert (summary.status, summary.error_type) == ("failed", "RateLimited")
        await talk(app, "d")
    assert heard(model)[0].endswith("they spoke")


async def test_what_fifty_turns_leave_grows_with_their_number():
    async def size(turns: int) -> int:
        answers = [f"{number} " * 300 for number in range(turns)]
        async with app_for(chat(), large=ScriptedModel(script=answers)) as app:
            await talk(app, *(f"question {number} " + "q" * 1000 for number in range(turns)))
            query = select(func.sum(tables.payloads.c.size))
            return await app.ledger.read(lambda connection: int(connection.execute(query).scalar_one()))

    few, many = await size(25), await size(50)
    assert many < 2.5 * few


@pytest.mark.parametrize("length", [300, 1_000])
async def test_a_text_is_not_copied_into_the_requests_that_hear_it_later(length):
    def text(name: str, number: int) -> str:
        return f"{name} {number} ".ljust(length, "x")

    def holding(connection: Any) -> int:
        contents = content_at(connection, connection.execute(select(tables.payloads.c.sha256)).scalars())
        return sum(text("answer", 0) in content for content in contents.values())

    async with app_for(chat(), large=ScriptedModel(script=[text("answer", number) for number in range(30)])) as app:
        await talk(app, *(text("question", number) for number in range(4)))
        few = await app.ledger.read(holding)
        await talk(app, *(text("question", number) for number in range(4, 18)))
        assert await app.ledger.read(holding) <= few
        (call,) = await app.ledger.calls((await talk(app, text("question", 18))).run_id)
        request = await app.ledger.value(call.request_payload)
    assert [message["content"] for message in request["messages"]][1::2] == [text("answer", n) for n in range(18)]


def test_a_history_needs_a_conversation_and_one_of_fields_that_are_there():
    with pytest.raises(DefinitionError, match="'draft' has a history, and the workflow has no conversation"):
        chat(conversation=None)
    with pytest.raises(DefinitionError, match="conversation says 'nothing', which is not a field of Ask"):
        chat(conversation=Conversation(says="nothing", answers="answer"))
    with pytest.raises(DefinitionError, match="which a run does not return: add it to output"):
        chat(conversation=Conversation(says="question", answers="ticket"))
    with pytest.raises(DefinitionError, match="fewer than one message has: allow at least 32"):
        chat(History(max_tokens=5))


def test_the_role_that_summarises_is_a_role_of_the_node_and_is_counted():
    node = chat(History(summarise="small")).nodes["draft"]
    assert node.roles == ("large", "small")
    assert [(call.node, call.role) for call in node.model_calls] == [("summarise", "small"), ("", "large")]
