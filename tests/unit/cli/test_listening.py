"""What a person sees of a run while it runs."""

from datetime import UTC, datetime
from typing import Any

from engine.cli.listening import Listening
from engine.runtime.events import StepFinished, StepStarted, TextDelta, TextReset

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def step(step_id: str, node: str, parent: str | None = None, status: str | None = None, **fields: Any) -> Any:
    given = {"run_id": "r", "seq": 1, "at": NOW, "step_id": step_id, "node": node, "parent": parent, "item": None}
    given |= {"visit": 1, "attempt": 1} | fields
    return StepStarted(**given) if status is None else StepFinished(**given, status=status)


def text(step_id: str, said: str) -> TextDelta:
    return TextDelta(run_id="r", seq=1, at=NOW, step_id=step_id, node="n", call_id=step_id, text=said)


def test_two_texts_at_once_are_shown_one_after_the_other_under_the_steps_they_belong_to(capsys):
    listening = Listening()
    for event in (
        step("1", "each"),
        step("2", "each/each", parent="1", item=0),
        step("3", "each/each", parent="1", item=1),
        text("2", "the first "),
        text("3", "the second "),
        text("2", "ends"),
        step("2", "each/each", parent="1", item=0, status="ok"),
        text("3", "ends"),
        step("3", "each/each", parent="1", item=1, status="failed"),
        step("1", "each", status="ok"),
    ):
        listening(event)
    shown = capsys.readouterr()
    assert shown.out == "the first ends\nthe second ends\n"
    assert shown.err == "  each\n    each 1\n    each 2\n    each 2 failed\n"
    assert listening.has_shown("the first ends")


def test_a_text_that_broke_off_does_not_count_as_shown(capsys):
    listening = Listening()
    for event in (
        step("1", "draft", visit=2),
        text("1", "bro"),
        TextReset(run_id="r", seq=1, at=NOW, step_id="1", node="draft", call_id="1"),
        text("1", "whole"),
        step("1", "draft", visit=2, status="ok"),
    ):
        listening(event)
    shown = capsys.readouterr()
    assert shown.out == "bro\nwhole\n"
    assert "draft (visit 2)" in shown.err
    assert "starts again" in shown.err
    assert (listening.has_shown("whole"), listening.has_shown("bro")) == (True, False)
