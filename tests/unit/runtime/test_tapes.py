"""A recorded run as a file: played against the code of today with no key, redacted, and refused once it was changed."""

import json

import pytest

from engine import App, Approve, InputError, Retry
from engine.errors import Overloaded
from engine.replay.tape_file import RecordedRun
from guardrails import Pii
from tests.flows import app_for, ask, line, scripted
from tests.unit.runtime.test_replay import draft


async def exported(app: App, run_id: str, tmp_path, redact=()) -> RecordedRun:
    """Export a run into a file and read that back."""
    tape = await app.export_tape(run_id, redact)
    file = tmp_path / "case.tape.json"
    file.write_text(json.dumps(tape.to_json(), indent=1), encoding="utf-8")
    return RecordedRun.read(file)


@pytest.mark.parametrize(
    ("workflow", "script"),
    [
        (ask(), ["bad " * 300]),
        (line(("draft", draft(retry=Retry(attempts=2, wait=0)))), [Overloaded("busy"), "fine"]),
        (line(("draft", draft(retry=Retry(attempts=1)))), [Overloaded("down")]),
    ],
)
async def test_a_tape_ends_as_the_run_did_where_nobody_can_be_asked(workflow, script, tmp_path):
    async with app_for(workflow, large=scripted(*script)) as app:
        result = await app.run(workflow.name, {"question": "How long do refunds take?"})
        tape = await exported(app, result.run_id, tmp_path)
        again = await app.export_tape(result.run_id)
    async with app_for(workflow) as other:  # no model plays a role here
        played = await other.play(tape)
    assert (played.difference, played.result.status, played.result.output) == (None, result.status, result.output)
    assert json.dumps(again.to_json()) == json.dumps(tape.to_json())


async def test_what_a_person_said_is_on_the_tape(tmp_path):
    workflow = line(
        ("approve", Approve(text="May this be sent?", shows=["question"], into="ready")), ("draft", draft())
    )
    async with app_for(workflow, large=scripted("sent")) as app:
        waiting = await app.run("line", {"question": "q"})
        await app.answer(waiting.run_id)
        await app.resume(waiting.run_id)
        played = await app.play(await exported(app, waiting.run_id, tmp_path))
    assert (played.result.status, played.result.output["answer"]) == ("succeeded", "sent")


async def test_an_edited_prompt_fails_and_is_named_and_passes_once_the_edit_is_undone(tmp_path):
    workflow = line(("draft", draft()))
    async with app_for(workflow, large=scripted("fine")) as app:
        tape = await exported(app, (await app.run("line", {"question": "q"})).run_id, tmp_path)
        app.workflows["line"] = line(("draft", draft(prompt="Answer: {question}")))
        played = await app.play(tape)
        assert "diverges at 'draft' (visit 1, request 1): messages[0].content was 'q' and is 'Answer: q'" in (
            played.difference or ""
        )
        app.workflows["line"] = workflow
        assert (await app.play(tape)).difference is None


async def test_personal_data_is_cut_out_of_everything_and_the_tape_still_plays(tmp_path):
    async with app_for(line(("draft", draft())), large=scripted("Ann's address is ann@example.com.")) as app:
        result = await app.run("line", {"question": "Who is bob@example.com?"})
        tape = await exported(app, result.run_id, tmp_path, [Pii()])
        assert "example.com" not in json.dumps(tape.to_json())
        played = await app.play(tape)
    assert (played.difference, played.result.output["answer"]) == (None, "Ann's address is [EMAIL].")


async def test_a_tape_that_was_changed_by_hand_or_is_none_is_refused(tmp_path):
    async with app_for(line(("draft", draft())), large=scripted("fine")) as app:
        await exported(app, (await app.run("line", {"question": "q"})).run_id, tmp_path)
    file = tmp_path / "case.tape.json"
    file.write_text(file.read_text().replace("fine", "good"))
    with pytest.raises(InputError, match="was changed since it was exported"):
        RecordedRun.read(file)
    for text in ("{", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(InputError, match="case"):
            RecordedRun.read(file)
