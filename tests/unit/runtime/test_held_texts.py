"""Streamed text comes in pieces that its guardrails have settled: whatever the pieces, it is the guarded text."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from engine import App, GuardItem, Guardrail, Verdict
from engine.definition.guardrail import ALLOW, Action, Span
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.records import RunStatus
from engine.runtime.events import TextDelta, TextReset
from engine.testing import ScriptedModel
from guardrails import Citations, Injection, Pii, Secrets
from tests.flows import app_for, line, search
from tests.streams import Essay, all_of, text_of, write

KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA1b2c3d4e5f6g7h8\n" * 12 + "-----END RSA PRIVATE KEY-----"
PROSE = "The parcel left the warehouse on Monday and should be with you before the end of the week! "


class Pieces(ScriptedModel):
    """Says its answer in the pieces that it was given."""

    pieces: list[str]

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        for piece in self.pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece, usage_metadata=usage))
            usage = None
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", response_metadata={"finish_reason": "stop"}, chunk_position="last")
        )


async def heard_of(pieces: list[str], **fields: Any) -> tuple[str, Any, list[Any]]:
    """Give what a listener is left with, the result, and all events."""
    workflow = line(("draft", write("left", **fields)), state=Essay)
    async with app_for(workflow, left=Pieces(pieces=pieces)) as app:
        return await heard_from(app)


async def heard_from(app: App) -> tuple[str, Any, list[Any]]:
    events, left = await all_of(app.stream("line", {"topic": "t"})), ""
    for event in events:
        left = "" if isinstance(event, TextReset) else left + (event.text if isinstance(event, TextDelta) else "")
    return left, events[-1].result, events


SECRETS = st.sampled_from(
    [
        *("ada@example.com", "a\u200bd\u200ba@exam\u200bple.com", "ａｄａ@example.com", "4111 1111 1111 1111"),
        *("DE89 3704 0044 0532 0130 00", "D\u200bE89 37\u200b04 0044 0532 0130 00", "192.168.17.4", "+1 415 555 2671"),
        *("ghp_" + "a1B2c3D4e5" * 3 + "f6g7", "api_key = 'q8Zr71LmX0vTn4Kc'", "password: k3J9x2Qw8Lp0", KEY),
        *("-----BEGIN RSA PRIV", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" * 4 + "." + "sIgN4tUr3" * 9),
    ]
)
TEXTS = st.lists(st.one_of(SECRETS, st.sampled_from([" ", "\n", ". ", "! ", PROSE, "x" * 300]), st.text(max_size=9)))


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=8)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases=st.lists(st.tuples(TEXTS, SIZES), min_size=5, max_size=10))
async def test_under_any_pieces_what_is_heard_is_the_guarded_text(cases):
    model = Pieces(pieces=[])
    workflow = line(("draft", write("left", guard_output=[Secrets(), Pii()])), state=Essay)
    async with app_for(workflow, left=model) as app:
        for parts, sizes in cases:
            model.pieces = cut("".join(parts).encode("utf-8", "replace").decode() or "x", sizes)
            heard, result, events = await heard_from(app)
            assert heard == result.output["left"]
            assert not [event for event in events if isinstance(event, TextReset)]


async def test_a_long_answer_is_heard_while_it_is_written_and_at_most_128_characters_late():
    said, late = 0, []

    class Watched(Pieces):
        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            nonlocal said
            async for chunk in super()._astream():
                said += len(chunk.message.content)
                yield chunk

    words = [f"{word} " for word in (PROSE * 20 + "write to ada@example.com soon. " + PROSE * 3).split()]
    workflow = line(("draft", write("left", guard_output=[Pii()])), state=Essay)
    heard = []

    def hear(event: Any) -> None:
        if isinstance(event, TextDelta):
            heard.append(event.text)
            late.append(said - len("".join(heard)))

    async with app_for(workflow, left=Watched(pieces=words)) as app:
        result = await app.run("line", {"topic": "t"}, listener=hear)
    assert "".join(heard) == result.output["left"]
    assert "ada" not in "".join(heard)
    assert len(heard) > 40
    assert max(late) <= 128 + len("ada@example.com ")


class Late(Guardrail):
    """Turns a text down at its very end."""

    action: Action = Action.BLOCK
    shadow: bool = False

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        at = text.find("bad")
        span = (Span(start=at, end=at + 3, label="BAD"),)
        return ALLOW if at < 0 else Verdict(action=self.action, reason="it is bad", spans=span, value="fine")


@pytest.mark.parametrize("action", [Action.BLOCK, Action.REASK, Action.REQUIRE_APPROVAL, Action.DROP])
async def test_of_a_text_that_is_turned_down_nothing_was_ever_heard(action):
    _, result, events = await heard_of([PROSE, PROSE, "bad"], guard_output=[Pii(), Late(action=action)], reasks=0)
    assert not [event for event in events if isinstance(event, TextDelta)]
    assert "bad" not in str(result.output)


@pytest.mark.parametrize(("action", "left"), [(Action.MASK, "a [BAD] word"), (Action.FIX, "fine")])
async def test_a_guardrail_that_needs_the_whole_text_holds_it_until_it_is_whole(action, left):
    heard, result, events = await heard_of(["a b", "ad ", "word"], guard_output=[Late(action=action)])
    assert heard == result.output["left"] == left
    assert len([event for event in events if isinstance(event, TextDelta)]) == 1


async def test_a_guardrail_that_only_watches_holds_nothing_back():
    _, _, events = await heard_of([PROSE[:9], "bad"], guard_output=[Late(shadow=True)])
    assert text_of(events) == PROSE[:9] + "bad"


async def test_one_that_blocks_what_it_finds_holds_the_whole_and_what_it_passes_is_heard():
    heard, _, _ = await heard_of([PROSE, "by"], guard_output=[Pii(action="block"), Injection()])
    assert heard == PROSE + "by"
    heard, result, events = await heard_of([PROSE * 4, "ada@example.com"], guard_output=[Pii(action="block")])
    assert (heard, result.status) == ("", RunStatus.BLOCKED)
    assert not [event for event in events if isinstance(event, TextDelta)]


class Hasty(Late):
    """Says that all is settled before it is."""

    def settled(self, text: str) -> int:
        return len(text)


async def test_what_a_guardrail_settled_too_early_is_taken_back():
    heard, result, events = await heard_of([PROSE + "b", "ad"], guard_output=[Hasty(action=Action.MASK)])
    assert [type(event) for event in events].count(TextReset) == 1
    assert heard == result.output["left"] == PROSE + "[BAD]"


async def test_unsafe_stream_first_lets_everything_be_heard_at_once_and_says_when_it_was_wrong():
    fields: dict[str, Any] = {"unsafe_stream_first": True}
    _, result, events = await heard_of(["to ada@", "example.com"], guard_output=[Pii()], **fields)
    assert text_of(events) == "to ada@example.com"
    assert isinstance(events[-3], TextReset)
    assert result.output["left"] == "to [EMAIL]"


async def test_one_further_out_that_compares_fields_keeps_a_text_from_being_heard():
    agent = Agent(
        model="left", prompt="{topic}", into="left", max_tokens=50, tools=[AgentTool(tool=search, effect="read")],
        guard_output=[Citations(of="left", sources="topics", require=False)],
    )  # fmt: skip
    async with app_for(line(("draft", agent), state=Essay), left=Pieces(pieces=["fi", "ne"])) as app:
        events = await all_of(app.stream("line", {"topic": "t", "topics": ["x"]}))
    assert text_of(events) == "fine"
    watched = line(
        ("draft", write("right")), state=Essay, guard_output=[Citations(of="left", sources="topics")], output=["right"]
    )
    async with app_for(watched, right=Pieces(pieces=["fi", "ne"])) as app:
        events = await all_of(app.stream("line", {"topic": "t"}))
    assert text_of(events) == ""
