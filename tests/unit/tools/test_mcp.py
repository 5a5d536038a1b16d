"""Tools of MCP servers are called like any other, with the effects that are declared for them."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from anyio import ClosedResourceError
from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import McpError
from mcp.server.fastmcp import FastMCP

from engine.definition.policies import Retry
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError, DefinitionError, ToolFailed
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.nodes.call_tool import CallTool
from engine.records import RunStatus
from engine.testing import asking_for
from tests.flows import app_for, line, scripted
from tools.mcp import McpServer
from tools.mcp.transport import Transport

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "mcp_server.py")]
SECRET = "sk-very-secret-key"
NOTES = McpServer(
    command=COMMAND,
    env={"NOTES": "${NOTES_OF_TEST}", "API_KEY": "${KEY_OF_TEST}"},
    tools={
        "write_note": "once",
        "list_notes": "read",
        "count-letters": "read",
        "show": "read",
        "show_environment": "read",
        "fail": "once",
        "die": "once",
        "tell_process": "read",
        "hang": "read",
    },
)
READING = McpServer(command=COMMAND, env={"API_KEY": SECRET}, tools={"die": "read", "list_notes": "read"})


class Desk(State):
    question: str
    answer: Any = None
    notes: list[str] = []


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """Give the file in which the server of this test keeps its notes."""
    monkeypatch.setenv("NOTES_OF_TEST", str(tmp_path / "notes.txt"))
    monkeypatch.setenv("KEY_OF_TEST", SECRET)
    return tmp_path / "notes.txt"


def written(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def call(name: str, effect: str = "read", server: str = "NOTES", **fields: Any) -> CallTool:
    given = {"tool": f"{__name__}:{server}.{name}", "effect": effect, "into": "answer", "retry": Retry(attempts=1)}
    return CallTool(**(given | fields))


def calls(*nodes: CallTool) -> Workflow:
    return line(*((f"call-{number}", node) for number, node in enumerate(nodes, 1)), name="desk", state=Desk)


async def result_of(*nodes: CallTool) -> Any:
    async with app_for(calls(*nodes)) as app:
        return await app.run("desk", {"question": "q"})


def told(model: Any) -> list[tuple[str, str]]:
    return [(one.content, one.status) for one in model.asked[-1] if isinstance(one, ToolMessage)]


async def test_a_node_calls_a_tool_with_arguments_from_the_state(notes):
    result = await result_of(call("write_note", "once", args={"text": "question"}), call("list_notes", into="notes"))
    assert result.raise_for_status().output == {"question": "q", "answer": "noted q", "notes": ["q"]}
    assert written(notes) == ["q"]


async def test_an_agent_is_offered_the_tools_with_their_effects(notes):
    node = Agent(
        model="large", prompt="{question}", into="answer", max_tokens=50, tools=NOTES.agent_tools("write_note", "show")
    )
    role = scripted(asking_for(("write_note", {"text": "a"}), ("show", {}), ("write_note", {"txt": "b"})), "Done.")
    async with app_for(line(("agent", node), name="desk", state=Desk), large=role) as app:
        result = await app.run("desk", {"question": "q"})
        rows = await app.ledger.calls(result.run_id)
    assert result.output["answer"] == "Done."
    assert written(notes) == ["a"]
    assert [text[:50] for text, _ in told(role.model)] == [
        "noted a",
        "the arguments do not fit the tool 'show': \"with_pi",
        "the arguments do not fit the tool 'write_note': \"t",
    ]
    assert [(row.target, row.tool_effect) for row in rows if row.tool_effect] == [("write_note", "once")]
    offered = role.model.options[0]["tools"][0]["function"]
    assert (offered["name"], offered["description"]) == ("write_note", "Write a note down.")
    assert offered["parameters"]["required"] == ["text"]


async def test_an_answer_is_json():
    assert await NOTES.list_notes.ainvoke({}) == []
    assert await getattr(NOTES, "count-letters").ainvoke({"text": "abc", "twice": True}) == {"letters": 6}
    assert await NOTES.show.ainvoke({"with_picture": False}) == "one\ntwo"
    assert await NOTES.show.ainvoke({"with_picture": True}) == [
        {"type": "text", "text": "one"},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
    ]


async def test_a_name_with_a_hyphen_is_called_like_any_other():
    node = call("count-letters", args={"text": "question"})
    assert (await result_of(node)).output["answer"] == {"letters": 1}


async def test_the_environment_is_not_inherited(monkeypatch):
    monkeypatch.setenv("UNDECLARED", "1")
    names = (await result_of(call("show_environment"))).output["answer"]
    assert {"NOTES", "API_KEY", "PATH"} <= set(names)
    assert not {"UNDECLARED", "NOTES_OF_TEST", "KEY_OF_TEST"} & set(names)


async def test_an_error_of_the_tool_is_short_and_keeps_secrets(tmp_path):
    ledger = tmp_path / "runs.db"
    node = call("fail", "once", constants={"config": "prod"})
    async with app_for(calls(node), database=f"sqlite:///{ledger}") as app:
        error = (await app.run("desk", {"question": "q"})).error
    assert error.type == "ToolFailed"
    assert (
        "the tool 'fail' answered with an error: Error executing tool fail: prod: the key *** is not" in error.message
    )
    assert len(error.message) < 600
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_server_that_dies_in_the_middle_of_an_action_leaves_it_to_a_person():
    async with app_for(calls(call("die", "once"))) as app:
        result = await app.run("desk", {"question": "q"})
        (row,) = await app.ledger.calls(result.run_id)
    assert (result.status, row.status, row.error_type) == (RunStatus.NEEDS_REVIEW, "unknown", "ConnectionFailed")
    assert "has ended (out of memory)" in result.error.message


async def test_a_server_that_has_died_is_started_anew_at_the_next_call():
    dying, listing = call("die", server="READING"), call("list_notes", server="READING")
    async with app_for(calls(dying), calls(listing).model_copy(update={"name": "list"})) as app:
        assert (await app.run("desk", {"question": "q"})).error.type == "ConnectionFailed"
        assert (await app.run("list", {"question": "q"})).status is RunStatus.SUCCEEDED


async def test_a_server_that_died_while_nobody_asked_it_is_not_missed(notes):
    os.kill(await NOTES.tell_process.ainvoke({}), signal.SIGKILL)
    (session,) = NOTES._sessions.values()
    with pytest.raises((McpError, ClosedResourceError)):
        while True:  # until the client has seen that nobody is there
            await session._ready.result().send_ping()
    assert await NOTES.write_note.ainvoke({"text": "a"}) == "noted a"
    assert written(notes) == ["a"]


async def test_calls_that_time_out_or_are_cancelled_leave_the_session_to_others(notes):
    process = await NOTES.tell_process.ainvoke({})
    assert (await result_of(call("hang", call_seconds=0.2))).error.type == "CallTimeout"
    hanging = asyncio.ensure_future(NOTES.hang.ainvoke({}))
    await asyncio.sleep(0)
    hanging.cancel()
    both = await asyncio.gather(*(NOTES.write_note.ainvoke({"text": text}) for text in "ab"))
    assert both == ["noted a", "noted b"]
    assert await NOTES.tell_process.ainvoke({}) == process


async def test_a_closed_server_is_gone_and_is_started_anew_when_it_is_needed():
    process = await NOTES.tell_process.ainvoke({})
    await NOTES.close()
    assert is_gone(process)
    assert await NOTES.tell_process.ainvoke({}) != process


def test_a_server_ends_with_the_event_loop_that_it_was_started_in():
    processes = [asyncio.run(NOTES.tell_process.ainvoke({})) for _ in range(2)]
    assert all(map(is_gone, processes))


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def test_an_action_is_not_repeated_when_the_run_goes_on(notes):
    note = AgentTool(tool=NOTES.write_note, effect="once")
    asked = AgentTool(tool=NOTES.list_notes, effect="read", approval=True)
    node = Agent(model="large", prompt="{question}", into="answer", max_tokens=50, tools=[note, asked])
    role = scripted(asking_for(("write_note", {"text": "a"})), asking_for(("list_notes", {})), "Done.")
    async with app_for(line(("agent", node), name="desk", state=Desk), large=role) as app:
        run_id = (await app.run("desk", {"question": "q"})).run_id
        assert written(notes) == ["a"]
        await NOTES.close()
        await app.answer(run_id)
        assert (await app.resume(run_id)).output["answer"] == "Done."
    assert written(notes) == ["a"]
    assert told(role.model)[-1] == (json.dumps(["a"]), "success")


def test_a_definition_names_a_tool_by_its_place():
    node = call("list_notes")
    assert node == call("list_notes", tool=NOTES.list_notes)
    workflow = calls(node)
    assert Workflow.from_json(workflow.to_json()).version == workflow.version
    assert SECRET not in workflow.to_json()


def test_what_is_not_declared_is_not_offered():
    with pytest.raises(AttributeError, match="offers no tool 'write_note', but 'die', 'list_notes': what is not"):
        READING.write_note  # noqa: B018
    with pytest.raises(DefinitionError, match=r"it cannot be imported: the MCP server .* offers no tool 'write_note'"):
        call("write_note", "once", "READING")


@pytest.mark.parametrize("effect", ["once", "idempotent"])
def test_another_effect_than_the_declared_one_is_refused(effect):
    sentence = f"'list_notes' is declared 'read' by its maker, and '{effect}' here: make them agree"
    with pytest.raises(DefinitionError, match=sentence):
        calls(call("list_notes", effect))
    tool = AgentTool(tool=NOTES.list_notes, effect=effect)
    with pytest.raises(DefinitionError, match=sentence):
        line(
            ("agent", Agent(model="large", prompt="q", into="answer", max_tokens=5, tools=[tool])), name="x", state=Desk
        )


def test_a_server_must_stand_at_the_top_of_a_module_to_be_named():
    server = McpServer(command=COMMAND, tools={"list_notes": "read"})
    with pytest.raises(DefinitionError, match="move it to the top of a module so it can be named"):
        server.agent_tools()


WRONG = {
    "neither a command nor a url": ({"command": ()}, "it needs either a command or a url"),
    "both": ({"url": "http://localhost"}, "it needs either a command or a url"),
    "headers for a command": ({"headers": {"A": "b"}}, "headers are for a url: give env"),
    "an environment for a url": ({"command": (), "url": "http://x", "env": {"A": "b"}}, "env is for a command"),
    "no tools": ({"tools": {}}, "it offers no tools: declare them with their effects"),
    "an unknown effect": (
        {"tools": {"a": "write"}},
        "the effect of 'a' is 'write': say 'read', 'idempotent' or 'once'",
    ),
    "a name that cannot be an attribute": (
        {"tools": {"close": "read"}},
        "the tool 'close' cannot be an attribute of it",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_is_refused_with_a_sentence(name):
    given, sentence = WRONG[name]
    with pytest.raises(DefinitionError, match=sentence):
        McpServer(**({"command": COMMAND, "tools": {"list_notes": "read"}} | given))


SILENT = [sys.executable, "-c", "input(); input()"]
DYING = [sys.executable, "-c", "raise SystemExit('no such database')"]
CANNOT = {
    "that does not exist": ({"command": ["no-such-program"]}, "cannot be asked: .*No such file or directory"),
    "that ends at once": ({"command": DYING}, "has ended \\(no such database\\)"),
    "that says nothing": ({"command": SILENT, "start_seconds": 0.2}, "it was not ready within 0.2 seconds"),
    "without its variable": (
        {"command": COMMAND, "env": {"A": "${NOT_SET}"}},
        "needs the environment variable NOT_SET",
    ),
    "that nobody listens for": ({"url": "http://127.0.0.1:9/mcp?key=k"}, "'http://127.0.0.1:9/mcp' cannot be asked"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_a_server_that_cannot_be_asked_is_a_sentence(name):
    given, sentence = CANNOT[name]
    with pytest.raises(ConfigurationError, match=sentence):
        _ = McpServer(**{"tools": {"list_notes": "read"}, **given}).list_notes


def test_a_tool_that_the_server_does_not_have_is_a_fault_of_the_definition():
    with pytest.raises(DefinitionError, match="it has no tool 'list_note'; it has 'write_note', 'list_notes'"):
        _ = McpServer(command=COMMAND, tools={"list_note": "read"}).list_note


async def test_an_action_is_known_not_to_be_done_where_its_server_cannot_be_started(monkeypatch):
    tool = NOTES.write_note
    monkeypatch.setattr(NOTES, "_transport", Transport(command=["no-such"], url="", secrets={}, start_seconds=1))
    with pytest.raises(
        ToolFailed, match="the tool 'write_note' was not called: the MCP server 'no-such' cannot be asked"
    ):
        await tool.ainvoke({"text": "a"})


async def test_tools_that_users_load_with_the_adapters_give_the_same_answer_each_time():
    transport = Transport(command=COMMAND, url="", secrets={}, start_seconds=20)
    answers: list[Any] = []
    async with transport.open() as session:
        await session.initialize()
        (Loaded.show,) = [tool for tool in await load_mcp_tools(session) if tool.name == "show"]
        for _ in range(2):
            result = await result_of(call("show", tool=f"{__name__}:Loaded.show", constants={"with_picture": False}))
            answers.append(result.raise_for_status().output["answer"])
    assert answers[0] == answers[1] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]


class Loaded:
    """Where a definition finds what was loaded."""

    show: Any = None


@pytest.fixture
def address() -> Iterator[str]:
    """Give the address of a server that only answers who has its key."""
    listening = socket.create_server(("127.0.0.1", 0))
    served = FastMCP("sums")
    served.tool()(add)
    inner = served.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"authorization", f"Bearer {SECRET}".encode()) not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await inner(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(guarded, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join()


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def test_a_server_at_an_address_is_asked_with_its_headers(address):
    sums = McpServer(url=address, headers={"Authorization": "Bearer ${KEY_OF_TEST}"}, tools={"add": "read"})
    assert await sums.add.ainvoke({"a": 1, "b": 2}) == 3
    await sums.close()


def test_a_server_at_an_address_that_refuses_is_a_sentence(address):
    with pytest.raises(ConfigurationError, match=r"cannot be asked: .*401 Unauthorized' for url .*/mcp'$"):
        _ = McpServer(url=f"{address}?key=k", tools={"add": "read"}).add
