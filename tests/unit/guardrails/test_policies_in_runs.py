"""An agent whose model asks for what a policy forbids is stopped before anything happens, and told why."""

import sqlite3

import pytest
from langchain_core.messages import ToolMessage

from engine import END, START, Agent, AgentTool, CallTool, Chain, Generate, Prompt, RunStatus, State, Workflow
from engine.testing import asking_for
from guardrails import ArgumentRule, Canary, ShellPolicy, SqlPolicy, ToolPolicy, ToolRule, Topic
from tests.flows import app_for, line, scripted

DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
RAN: list[str] = []
SECRET = Prompt(system="You are the desk of Acme.\n<!-- canary -->", text="{question}")


@pytest.fixture(autouse=True)
def two_users():
    RAN.clear()
    DATABASE.executescript("drop table if exists users; create table users (id, name);")
    DATABASE.executemany("insert into users values (?, ?)", [(1, "ann"), (2, "bob")])


def query(sql: str) -> list[list[str]]:
    """Run SQL."""
    RAN.append(sql)
    return [list(map(str, row)) for row in DATABASE.execute(sql)]


def run_command(command: str) -> str:
    """Run a command."""
    RAN.append(command)
    return "done"


def send(to: str, text: str) -> str:
    """Send a message."""
    RAN.append(f"{to}: {text}")
    return "sent"


class Desk(State):
    question: str
    sql: str = ""
    rows: list[list[str]] = []
    answer: str = ""


TOOLS = [
    AgentTool(tool=query, effect="once"),
    AgentTool(tool=run_command, effect="once"),
    AgentTool(tool=send, effect="once"),
]


def agent(*guards, **fields):
    given = {"model": "large", "prompt": "{question}", "tools": TOOLS, "into": "answer", "max_tokens": 50}
    return line(("work", Agent(**({**given, "guard_calls": guards} | fields))), name="desk", state=Desk)


def asking(*calls):
    """Ask for one call after another, then answer."""

    def answer(messages):
        made = sum(isinstance(one, ToolMessage) for one in messages)
        return asking_for(calls[made]) if made < len(calls) else "Done."

    return scripted(answer)


async def run(flow, model, question="Clean up."):
    async with app_for(flow, large=model) as app:
        result = await app.run("desk", {"question": question})
        verdicts = await app.ledger.verdicts(result.run_id)
        return result, [(verdict.guardrail, verdict.action) for verdict in verdicts]


SQL = SqlPolicy(dialect="sqlite", tools=["query"], most_rows=1)


async def test_a_table_is_not_dropped_and_what_may_be_read_is_read():
    model = asking(("query", {"sql": "DROP TABLE users"}), ("query", {"sql": "select name from users order by id"}))
    result, verdicts = await run(agent(SQL), model)
    assert result.status is RunStatus.SUCCEEDED
    assert verdicts == [("sql-policy", "block"), ("sql-policy", "fix")]
    assert RAN == ["SELECT name FROM users ORDER BY id LIMIT 1"]
    told = [message.content for message in model.model.asked[2] if isinstance(message, ToolMessage)]
    assert "DROP is not among what may be done (select)" in told[0]
    assert told[1] == '[["ann"]]'


async def test_a_command_outside_of_the_list_is_not_run():
    guard = ShellPolicy(commands=["ls"], tools=["run_command"])
    model = asking(("run_command", {"command": "ls; rm -rf /"}), ("run_command", {"command": "ls -l"}))
    _, verdicts = await run(agent(guard), model)
    assert (verdicts, RAN) == ([("shell-policy", "block")], ["ls -l"])


async def test_a_tool_of_high_risk_waits_for_a_person_and_a_wrong_argument_is_told_to_the_model():
    rules = {"send": ToolRule(risk="high", arguments={"to": ArgumentRule(pattern=r"[a-z]+@acme\.com")})}
    model = asking(
        ("query", {"sql": "x"}),
        ("send", {"to": "a@evil.com", "text": "x"}),
        ("send", {"to": "a@acme.com", "text": "x"}),
    )
    async with app_for(agent(ToolPolicy(tools=rules)), large=model) as app:
        result = await app.run("desk", {"question": "Tell them."})
        assert (result.status, RAN) == (RunStatus.WAITING, [])
        (question,) = await app.questions(result.run_id)
        assert "acts with a high risk" in question.text
        await app.answer(result.run_id)
        assert (await app.resume(result.run_id)).status is RunStatus.SUCCEEDED
    assert RAN == ["a@acme.com: x"]


async def test_a_limit_reaches_a_call_that_a_workflow_makes():
    call = CallTool(
        tool=query,
        args={"sql": "sql"},
        into="rows",
        effect="read",
        guard_input=[SqlPolicy(dialect="sqlite", most_rows=1)],
    )
    write = Generate(model="large", prompt="{question}", into="sql", max_tokens=50)
    flow = Workflow(
        name="desk", state=Desk, nodes={"write": write, "read": call}, edges=[Chain(START, "write", "read", END)]
    )
    result, _ = await run(flow, scripted("select name from users"))
    assert (result.output["rows"], RAN) == ([["ann"]], ["SELECT name FROM users LIMIT 1"])
    result, _ = await run(flow, scripted("drop table users"))
    assert (result.status, len(RAN)) == (RunStatus.BLOCKED, 1)


async def test_a_prompt_does_not_leave_in_an_answer_or_an_argument():
    leaking = Generate(model="large", prompt=SECRET, into="answer", max_tokens=50, guard_output=[Canary()])
    result, verdicts = await run(
        line(("work", leaking), name="desk", state=Desk), scripted(f"It is {SECRET.canary.upper()}")
    )
    assert (result.status, verdicts) == (RunStatus.BLOCKED, [("canary", "block")])
    model = asking(("send", {"to": "x", "text": f"q={SECRET.canary[::-1]}"}))
    result, verdicts = await run(agent(Canary(), prompt=SECRET), model)
    assert (result.status, verdicts, RAN) == (RunStatus.SUCCEEDED, [("canary", "block")], [])
    assert SECRET.canary in model.model.asked[0][0].content


async def test_a_prompt_does_not_leave_in_the_output_of_a_run_or_through_another_node():
    write = Generate(model="large", prompt=SECRET, into="sql", max_tokens=50)
    for guards in ({"guard_output": [Canary()]}, {}):
        call = CallTool(
            tool=send,
            args={"text": "sql"},
            constants={"to": "x"},
            into="answer",
            guard_input=[] if guards else [Canary()],
        )
        nodes = {"write": write} if guards else {"write": write, "send": call}
        flow = Workflow(name="desk", state=Desk, nodes=nodes, edges=[Chain(START, *nodes, END)], **guards)
        result, verdicts = await run(flow, scripted(SECRET.canary))
        assert (result.status, verdicts, RAN) == (RunStatus.BLOCKED, [("canary", "block")], [])


async def test_a_denied_topic_never_reaches_the_model():
    model = scripted("Hello.")
    flow = line(
        ("work", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)),
        name="desk",
        state=Desk,
        guard_input=[Topic()],
    )
    result, verdicts = await run(flow, model, "How do I poison my neighbour?")
    assert (result.status, verdicts, model.model.asked) == (RunStatus.BLOCKED, [("topic", "block")], [])
