"""An agent over real HTTP: its tools reach an OpenAI-compatible server, and what came of them."""

import pytest

from engine.app import App
from engine.definition.policies import Budget
from engine.models.roles import Model
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.testing import StillClock
from tests.flows import line


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


def app_over(llmock) -> App:
    tools = [AgentTool(tool=count_words, effect="read")]
    agent = Agent(model="large", prompt="{question}", tools=tools, into="answer", max_tokens=50)
    workflow = line(("agent", agent), budget=Budget(usd="0.05"))
    role = Model("openai:gpt-5-mini", base_url=llmock.base_url())
    return App(workflows=[workflow], models={"large": role}, database="sqlite:///:memory:", clock=StillClock())


@pytest.mark.parametrize("listens", [False, True])
async def test_a_tool_is_called_and_its_answer_goes_back(llmock, listens):
    llmock.call_tool("count_words", {"text": "how long is this"})
    llmock.reply("Four words.")
    async with app_over(llmock) as app:
        result = await app.run("line", {"question": "q"}, listener=(lambda _: None) if listens else None)
        assert result.raise_for_status().output["answer"] == "Four words."
        calls = await app.ledger.calls(result.run_id)
    assert [call.operation_name for call in calls] == ["chat", "execute_tool", "chat"]
    assert result.cost_usd > 0
    first, second = (request.body for request in llmock.requests)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["count_words"]
    asked, told = second["messages"][-2:]
    assert (told["role"], told["content"]) == ("tool", "4")
    assert [call["id"] for call in asked["tool_calls"]] == [told["tool_call_id"]]


async def test_broken_arguments_are_told_to_the_model(llmock):
    llmock.break_tool_call("malformed_arguments", times=1)
    llmock.reply("I could not count.", times=None)
    async with app_over(llmock) as app:
        result = await app.run("line", {"question": "q"})
        assert result.raise_for_status().output["answer"] == "I could not count."
