"""An agent goes round until it answers, or has used up its rounds or its budget."""

import asyncio
import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import InvalidToolCall

from engine.definition.policies import Breaker, Budget
from engine.nodes.agent_tool import AgentTool
from engine.records import RunStatus
from engine.testing import asking_for
from tests.desk import (
    MEETING,
    REFUNDED,
    Desk,
    agent,
    desk,
    meet,
    refund,
    run_of,
    told,
)
from tests.flows import app_for, line, scripted


@pytest.fixture(autouse=True)
def nothing_refunded():
    REFUNDED.clear()


async def test_a_tool_is_called_and_its_answer_is_told():
    result, model = await run_of(agent(), asking_for(("look_up", {"topic": "refunds"})), "It takes five days.")
    assert result.output["answer"] == "It takes five days."
    assert told(model) == [("refunds: five days", "success")]
    assert [tool["function"]["name"] for tool in model.options[0]["tools"]] == ["look_up", "refund", "fail"]


async def test_each_request_and_call_is_a_row_of_the_ledger():
    role = scripted(asking_for(("look_up", {"topic": "a"}), ("refund", {"order": "A1", "amount": 2})), "done")
    async with app_for(desk(agent()), large=role) as app:
        result = await app.run("desk", {"question": "q"})
        calls = await app.ledger.calls(result.run_id)
    assert sorted((call.operation_name, call.target, call.tool_effect) for call in calls) == [
        ("chat", "large", None),
        ("chat", "large", None),
        ("execute_tool", "look_up", "read"),
        ("execute_tool", "refund", "once"),
    ]
    assert (result.calls, result.steps) == (4, 1)


async def test_the_system_speaks_first_then_the_conversation_then_the_task():
    history = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    node = agent(prompt={"text": "{question}", "system": "Be kind."}, messages="history")
    _, model = await run_of(node, "yes", given={"history": history})
    assert [(one.type, one.content) for one in model.asked[0]] == [
        ("system", "Be kind."),
        ("human", "hello"),
        ("ai", "hi"),
        ("human", "q"),
    ]


async def test_a_task_without_a_word_is_left_to_the_conversation():
    node = agent(prompt={"text": "", "system": "Be kind."}, messages="history")
    _, model = await run_of(node, "yes", given={"history": [{"role": "user", "content": "hello"}]})
    assert [one.type for one in model.asked[0]] == ["system", "human"]


async def test_what_is_not_a_conversation_is_refused_with_a_sentence():
    result, _ = await run_of(agent(messages="history"), "yes", given={"history": [{"who": "me"}]})
    assert result.error.type == "NodeFailed"
    assert "'history' holds what is not a conversation" in result.error.message


async def test_what_was_said_can_be_the_conversation_of_the_next_agent():
    first = agent(transcript_into="said")
    second = agent(messages="said", prompt="Sum up.", transcript_into="said")
    role = scripted(asking_for(("look_up", {"topic": "a"}), ("look_up", {"topic": "b"})), "first", "second")
    async with app_for(line(("one", first), ("two", second), name="desk", state=Desk), large=role) as app:
        result = await app.run("desk", {"question": "q"})
    said = result.raise_for_status().output["said"]
    assert [one["role"] for one in said] == ["user", "assistant", "tool", "tool", "assistant", "user", "assistant"]
    assert json.loads(said[1]["tool_calls"][0]["function"]["arguments"]) == {"topic": "a"}
    read = role.model.asked[-1]
    assert [one.type for one in read] == ["human", "ai", "tool", "tool", "ai", "human"]
    assert [call["id"] for call in read[1].tool_calls] == [one.tool_call_id for one in read[2:4]]


async def test_calls_of_one_message_are_made_side_by_side_and_told_in_order():
    MEETING[:] = [asyncio.Barrier(2)]
    node = agent(tools=[AgentTool(tool=meet, effect="read")])
    both = asking_for(("meet", {"name": "b"}), ("meet", {"name": "a"}))
    _, model = await run_of(node, both, "done")
    assert told(model) == [("b", "success"), ("a", "success")]


WRONG = {
    "arguments that do not fit": (("refund", {"order": "A1"}), "do not fit the tool 'refund': amount: field required"),
    "a parameter that there is not": (("look_up", {"topic": "a", "x": 1}), "x: extra inputs are not permitted"),
    "a tool that there is not": (("reffund", {}), "there is no tool 'reffund'; there are look_up, refund, fail"),
    "a tool that raises": (("fail", {"reason": "no luck"}), "the tool 'fail' raised ValueError: no luck"),
    "a long fault": (("fail", {"reason": "x" * 9_000}), "xxx ..."),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_goes_wrong_with_a_call_is_told_to_the_model_in_short(name):
    call, fault = WRONG[name]
    result, model = await run_of(agent(), asking_for(call), "I could not.")
    assert result.output["answer"] == "I could not."
    ((text, status),) = told(model)
    assert status == "error"
    assert fault in text
    assert len(text) <= 500
    assert REFUNDED == []


async def test_arguments_that_are_not_json_are_told_and_never_sent_on():
    broken = AIMessage(
        content="",
        invalid_tool_calls=[
            InvalidToolCall(name="refund", args='{"order": ', id="c1", error=None, type="invalid_tool_call")
        ],
    )
    result, model = await run_of(agent(transcript_into="said"), broken, "I could not.")
    assert told(model) == [("its arguments are not a JSON object: '{\"order\": '", "error")]
    assert [call["args"] for call in model.asked[1][1].tool_calls] == [{}]
    assert [one["role"] for one in result.output["said"]] == ["user", "assistant", "tool", "assistant"]


async def test_calls_without_an_id_of_their_own_get_one():
    call = {"name": "look_up", "args": {"topic": "a"}, "type": "tool_call"}
    message = AIMessage(content="", tool_calls=[{**call, "id": "x"}, {**call, "id": "x"}, {**call, "id": None}])
    _, model = await run_of(agent(), message, "done")
    ids = [one.tool_call_id for one in model.asked[1] if isinstance(one, ToolMessage)]
    assert ids == ["x", "call-1", "call-2"] == [call["id"] for call in model.asked[1][1].tool_calls]


async def test_a_tool_is_called_no_more_often_than_it_may_be():
    node = agent(tools=[AgentTool(tool=refund, effect="once", max_calls=1)])
    call = ("refund", {"order": "A1", "amount": 1})
    _, model = await run_of(node, asking_for(("refund", {}), call, call), asking_for(call), "done")
    assert REFUNDED == [1]
    assert [status for _, status in told(model)] == ["error", "success", "error", "error"]
    assert "refund has been called as often as it may be" in told(model)[-1][0]


async def test_an_open_breaker_is_told_to_the_model():
    node = agent(tools=[AgentTool(tool=lose_connection, effect="read")], breaker=Breaker(failures=1))
    _, model = await run_of(node, asking_for(("lose_connection", {})), asking_for(("lose_connection", {})), "done")
    assert "ConnectionError" in told(model)[0][0]
    assert "is left alone" in told(model)[1][0]


async def lose_connection() -> str:
    """Lose the connection."""
    raise ConnectionError("gone")


async def test_rounds_that_run_out_lead_to_an_answer_without_tools():
    call = asking_for(("look_up", {"topic": "a"}))
    result, model = await run_of(agent(max_rounds=2), call, call, "That is all I know.")
    assert result.output["answer"] == "That is all I know."
    assert len(model.asked) == 3
    assert "tools" not in model.options[2]
    assert "You have no rounds left" in model.asked[2][-1].content


async def test_a_last_answer_without_a_word_is_asked_for_again():
    call = asking_for(("look_up", {"topic": "a"}))
    result, model = await run_of(agent(max_rounds=1), call, call, "At last.")
    assert result.output["answer"] == "At last."
    assert "turned down: it is empty" in model.asked[2][-2].content


@pytest.mark.parametrize("budget", [{"calls": 5}, {"tokens": 1_400}])
async def test_a_budget_that_runs_out_leads_to_an_answer_without_tools(budget):
    call = asking_for(("look_up", {"topic": "a"}))
    script = [call] * 20

    def say(messages):
        last = messages[-1]
        return "That is all." if isinstance(last, HumanMessage) and "nearly used up" in last.content else script[0]

    result, model = await run_of(agent(max_rounds=30), say, budget=Budget(**budget))
    assert (result.status, result.output["answer"]) == (RunStatus.SUCCEEDED, "That is all.")
    assert "tools" not in model.options[-1]


async def test_a_budget_that_holds_no_answer_at_all_ends_the_run():
    result, model = await run_of(agent(), "yes", budget=Budget(tokens=20))
    assert result.status is RunStatus.BUDGET_EXCEEDED
    assert model.asked == []
