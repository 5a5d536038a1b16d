"""An agent asks people, hands over, gives objects, and is refused where it could not work."""

from typing import Any

import pytest

from engine.app import App
from engine.definition.edges import END, START, Branch, Chain
from engine.definition.guardrail import Action, Guardrail, Verdict
from engine.definition.policies import Cache, Retry
from engine.definition.workflow import Workflow
from engine.errors import DefinitionError
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.testing import StillClock, asking_for
from tests.desk import LOOK_UP, REFUNDED, Desk, Shape, agent, desk, fail, look_up, refund, run_of, told
from tests.flows import app_for, line, scripted


@pytest.fixture(autouse=True)
def nothing_refunded():
    REFUNDED.clear()


def agreeing(text: str | bool = True, **fields: Any) -> Agent:
    return agent(tools=[AgentTool(tool=refund, effect="once", approval=text, **fields), LOOK_UP])


REFUND_CALL = ("refund", {"order": "A1", "amount": "5"})


async def test_a_call_that_needs_approval_waits_and_the_others_are_made():
    role = scripted(asking_for(REFUND_CALL, ("look_up", {"topic": "a"})), "Paid.")
    async with app_for(desk(agreeing("May it pay?")), large=role) as app:
        run_id = (await app.run("desk", {"question": "q"})).run_id
        (question,) = await app.questions(run_id)
        assert question.text == "May it pay?"
        shown = await app.ledger.value(question.shown_payload)
        assert shown == {"tool": "refund", "arguments": {"order": "A1", "amount": 5.0}}
        assert REFUNDED == []
        await app.answer(run_id, by="ann")
        result = await app.resume(run_id)
        assert (result.status, result.output["answer"]) == (RunStatus.SUCCEEDED, "Paid.")
    assert REFUNDED == [5.0]
    assert len(role.model.asked) == 2, "the first round is answered from the journal"


async def test_a_call_that_had_to_wait_is_its_first_attempt():
    node, model = (
        agreeing(),
        scripted(asking_for(("refund", {"order": "A1", "amount": 5}), ("look_up", {"topic": "A1"})), "done"),
    )
    async with app_for(desk(node), large=model) as app:
        result = await app.run("desk", {"question": "q"})
        await app.answer(result.run_id)
        result = (await app.resume(result.run_id)).raise_for_status()
        calls = await app.ledger.calls(result.run_id)
        assert {(call.attempt, call.diverged_from) for call in calls} == {(1, None)}


async def test_a_refusal_is_told_to_the_model_with_its_reason():
    role = scripted(asking_for(REFUND_CALL), "I may not.")
    async with app_for(desk(agreeing()), large=role) as app:
        run_id = (await app.run("desk", {"question": "q"})).run_id
        assert (await app.questions(run_id))[0].text == "May 'agent' call refund?"
        await app.answer(run_id, refuse=True, reason="too much")
        assert (await app.resume(run_id)).output["answer"] == "I may not."
    assert REFUNDED == []
    refused = "the tool 'refund' may not be called at 'agent', and a person refused it: too much"
    assert told(role.model) == [(refused, "error")]


async def test_two_calls_that_need_approval_are_asked_about_together():
    role = scripted(asking_for(REFUND_CALL, ("refund", {"order": "B2", "amount": 7})), "done")
    async with app_for(desk(agreeing()), large=role) as app:
        run_id = (await app.run("desk", {"question": "q"})).run_id
        first, second = await app.questions(run_id)
        await app.answer(run_id, question=second.question_id)
        assert (await app.resume(run_id)).status is RunStatus.WAITING
        assert REFUNDED == [7.0]
        await app.answer(run_id, question=first.question_id, refuse=True)
        await app.resume(run_id)
    assert REFUNDED == [7.0]
    assert [status for _, status in told(role.model)] == ["error", "success"]


HANDOFFS = {"billing": "When it is about money.", "sales": "When they want to buy."}


def handing(**fields: Any) -> Workflow:
    node = agent(handoffs=HANDOFFS, handoff_into="next", **fields)
    return Workflow(
        name="desk",
        state=Desk,
        nodes={"agent": node, "money": Generate(model="small", prompt="{question}", into="answer", max_tokens=9)},
        edges=[
            Chain(START, "agent"),
            Branch("agent", on="next", to={"billing": "money", "sales": END}, default=END),
            Chain("money", END),
        ],
    )


async def test_a_hand_over_is_a_field_that_a_branch_reads():
    role = scripted(asking_for(("hand_over_to_billing", {"why": "money"})))
    async with app_for(handing(transcript_into="said"), large=role, small=scripted("billing here")) as app:
        result = await app.run("desk", {"question": "q"})
    assert (result.output["next"], result.output["answer"]) == ("billing", "billing here")
    assert result.output["said"][-1]["content"] == "Handed over."
    offered = {tool["function"]["name"]: tool["function"] for tool in role.model.options[0]["tools"]}
    assert offered["hand_over_to_billing"]["description"] == "When it is about money."


async def test_an_answer_says_that_nobody_was_handed_over_to():
    async with app_for(handing(), large=scripted("It is done."), small=scripted("no")) as app:
        result = await app.run("desk", {"question": "q"})
    assert (result.output["next"], result.output["answer"]) == (None, "It is done.")


async def test_a_hand_over_beside_a_call_that_failed_is_not_taken():
    both = asking_for(("fail", {"reason": "x"}), ("hand_over_to_sales", {}))
    role = scripted(
        both, asking_for(("look_up", {"topic": "a"}), ("hand_over_to_billing", {}), ("hand_over_to_sales", {}))
    )
    async with app_for(handing(), large=role, small=scripted("billing here")) as app:
        result = await app.run("desk", {"question": "q"})
    assert told(role.model)[1] == ("Not taken: look at what came of the calls beside it first.", "error")
    assert result.output["next"] == "billing", "the first of two counts, once the call beside it has succeeded"


async def test_an_object_ends_the_work_when_it_fits():
    node = agent(output=Shape, into={"colour": "colour", "size": "number"})
    blue, red = ("Shape", {"colour": "blue", "size": 1}), ("Shape", {"colour": "red", "size": 2})
    result, model = await run_of(node, asking_for(blue), asking_for(red))
    assert (result.output["colour"], result.output["number"]) == ("red", 2)
    assert "it does not fit Shape: colour: input should be 'red' or 'green'" in told(model)[0][0]


async def test_a_text_where_an_object_is_due_leads_to_one_more_request():
    result, model = await run_of(agent(output=Shape, into="shape"), "It is red.", {"colour": "red", "size": 2})
    assert result.output["shape"] == {"colour": "red", "size": 2}
    assert [one.content for one in model.asked[1][-2:]] == ["It is red.", "Give that answer as an object."]


async def test_the_last_answer_is_an_object_too_and_is_asked_for_again_until_it_fits():
    call = asking_for(("look_up", {"topic": "a"}))
    node = agent(output=Shape, into="shape", max_rounds=1)
    result, model = await run_of(node, call, {"colour": "blue", "size": 2}, {"colour": "red", "size": 2})
    assert result.output["shape"]["colour"] == "red"
    assert len(model.asked) == 3


class Polite(Guardrail):
    def check_text(self, text, item):
        if "please" in text:
            return Verdict(action=Action.ALLOW)
        return Verdict(action=Action.REASK, reason="say please")


async def test_an_answer_that_a_guardrail_turns_down_is_mended_without_calling_the_tools_again():
    role = scripted(asking_for(("refund", {"order": "A1", "amount": 3})), "Paid.", "Paid, please.")
    async with app_for(desk(agent(guard_output=[Polite()])), large=role) as app:
        result = await app.run("desk", {"question": "q"})
    assert result.output["answer"] == "Paid, please."
    assert REFUNDED == [3.0]
    assert [one.type for one in role.model.asked[2]] == ["human", "ai", "tool", "ai", "human"]


async def test_the_text_of_an_answer_is_heard_while_it_is_written():
    heard: list[Any] = []
    role = scripted(asking_for(("look_up", {"topic": "a"})), "It takes five days.")
    async with app_for(desk(agent()), large=role) as app:
        result = await app.run("desk", {"question": "q"}, listener=heard.append)
    assert "".join(event.text for event in heard if type(event).__name__ == "TextDelta") == "It takes five days."
    assert told(role.model) == [("a: five days", "success")]
    assert result.output["answer"] == "It takes five days."


@pytest.mark.parametrize("listens", [False, True])
async def test_a_round_that_is_run_again_asks_for_the_same_things(tmp_path, listens):
    call = asking_for(("look_up", {"topic": "a"}), ("refund", {"order": "A1", "amount": 2}), text="Let me see.")
    listener = (lambda _: None) if listens else None
    workflow, ledger = desk(agent()), {"database": f"sqlite:///{tmp_path}/runs.db", "clock": StillClock()}
    async with app_for(workflow, **ledger, large=scripted(call, ConnectionError("gone"))) as app:
        result = await app.run("desk", {"question": "q"}, run_id="1" * 32, listener=listener)
        assert result.error.type == "ConnectionFailed"
    role = scripted("done")
    async with app_for(workflow, **ledger, large=role) as app:
        result = await app.resume("1" * 32)
        calls = await app.ledger.calls("1" * 32)
    assert result.output["answer"] == "done"
    assert len(role.model.asked) == 1
    assert REFUNDED == [2.0]
    assert all(call.diverged_from is None for call in calls)
    requests = [call.request_hash for call in calls if call.operation_name == "chat"]
    assert len(requests) == 3
    assert len(set(requests)) == 2, "the request that was cut off is made again just as it was"


def test_the_bound_counts_a_request_a_round_and_one_for_the_answer():
    (bound,) = agent(max_rounds=5, retry=Retry(attempts=2)).model_calls
    assert (bound.calls, bound.role, bound.max_tokens) == (12, "large", 50)


def test_a_workflow_with_an_agent_survives_json_with_the_same_version():
    tools = [LOOK_UP, AgentTool(tool=refund, effect="once", probe=look_up, approval="Sure?", max_calls=2)]
    workflow = desk(agent(tools=tools, output=Shape, into="shape", handoffs=HANDOFFS, handoff_into="next"))
    assert Workflow.from_json(workflow.to_json()).version == workflow.version
    assert f"{refund.__module__}:refund" in workflow.code


FAULTS = {
    "two tools of one name": (
        {"tools": [LOOK_UP, LOOK_UP]},
        "2 of its tools, hand-overs and output are called 'look_up'",
    ),
    "a probe for a tool that reads": (
        {"tools": [AgentTool(tool=look_up, effect="read", probe=fail)]},
        "the tool 'look_up' has a probe, which is for effect 'once', and its effect is 'read'",
    ),
    "a wait for no approval": (
        {"tools": [AgentTool(tool=look_up, effect="read", wait_seconds=5)]},
        "has wait_seconds and no approval to wait for",
    ),
    "nothing to call": ({"tools": []}, "it has neither tools nor handoffs: use Generate"),
    "hand-overs that nobody reads": ({"handoffs": HANDOFFS}, "handoffs and handoff_into need each other"),
    "hand-overs to nobody": ({"handoff_into": "next"}, "handoffs and handoff_into need each other"),
    "a name that no tool may have": (
        {"handoffs": {"the desk": "never"}, "handoff_into": "answer"},
        "'the desk' cannot be handed over to",
    ),
    "a field that holds too few names": (
        {"handoffs": {**HANDOFFS, "legal": "When they sue."}, "handoff_into": "next"},
        "into 'next', which holds",
    ),
    "a conversation that is no list": (
        {"messages": "answer"},
        "messages names 'answer', which holds str and not a list",
    ),
    "a transcript that does not fit": ({"transcript_into": "answer"}, "writes list[dict[str, Any]] into 'answer'"),
    "an output that is no model": ({"output": refund, "into": "shape"}, "is not a pydantic model"),
    "fields without an object": (
        {"into": {"colour": "colour"}},
        "into names several fields, which needs an output model",
    ),
    "a field that the object has not": (
        {"output": Shape, "into": {"weight": "number"}},
        "its output has no field 'weight'",
    ),
    "a cache over what tools do": ({"cache": Cache()}, "cannot have a cache: what they do would be left out"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_agent_that_cannot_work_is_refused_with_a_sentence(name):
    fields, fault = FAULTS[name]
    with pytest.raises(DefinitionError) as refused:
        desk(agent(**fields))
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "fault"), [({}, "effect: field required"), ({"effect": "read", "max_calls": 0}, "max_calls")]
)
def test_a_tool_says_what_it_does(fields, fault):
    with pytest.raises(DefinitionError, match=fault):
        AgentTool(tool=look_up, **fields)


def test_an_agent_has_at_least_one_round():
    with pytest.raises(DefinitionError, match="max_rounds"):
        agent(max_rounds=0)


async def test_a_model_that_calls_no_tools_is_named():
    async with App(workflows=[desk(agent())], models={"large": "embedded"}, database="sqlite:///:memory:") as app:
        result = await app.run("desk", {"question": "q"})
    assert "flowledger:extractive-1 cannot call tools: give its role a model that can" in result.error.message


def long_page(topic: str) -> str:
    """Look up a long page."""
    return f"{topic} " * 20_000


async def test_what_a_tool_answers_is_cut_for_the_model_and_kept_whole():
    agent = Agent(
        model="large",
        prompt="{question}",
        tools=[AgentTool(tool=long_page, effect="read")],
        into="answer",
        max_tokens=20,
    )
    model = scripted(asking_for(("long_page", {"topic": "tea"})), "done")
    async with app_for(line(("agent", agent)), large=model) as app:
        result = (await app.run("line", {"question": "?"})).raise_for_status()
        first, tool, second = await app.ledger.calls(result.run_id)
        assert await app.ledger.value(tool.response_payload) == "tea " * 20_000
        request = await app.ledger.value(second.request_payload)
        heard = request["messages"][-1]["content"]
        assert heard.endswith("tokens in all]")
        assert len(heard) < 25_000
        assert request["left_out"] == {"tool_results_cut": 1}
        assert first.request_hash != second.request_hash
