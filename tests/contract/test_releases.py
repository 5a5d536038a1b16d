"""A name stands for a version that somebody chose: runs begin with it, end with it, and it can be taken back."""

from collections.abc import Callable

import pytest

from engine import App, InputError, Worker, Workflow
from engine.testing import StillClock
from tests.databases import SHARED
from tests.flows import line, scripted
from tests.unit.runtime.test_replay import draft


def told(prompt: str) -> Workflow:
    return line(("draft", draft(prompt=f"{prompt}: {{question}}")))


OLD, NEW = told("old"), told("new")


@pytest.fixture
def app(url) -> Callable[[Workflow], App]:
    """Give apps on one database, each with the code of a deployment."""
    clock = StillClock()

    def make(*workflows: Workflow) -> App:
        model = scripted(lambda messages: str(messages[-1].content).partition(":")[0])
        return App(workflows=workflows, models={"large": model}, database=url, clock=clock)

    return make


async def said(app: App, name: str = "line") -> str:
    return (await app.run(name, {"question": "q"})).output["answer"]


@SHARED
async def test_what_is_run_under_a_name_is_what_was_released_and_a_roll_back_is_one_command(app):
    async with app(OLD) as before:
        assert await said(before) == "old"
        await before.release("line", by="ann", reason="it passed")
    async with app(NEW) as after:
        assert await said(after) == "old"  # new code does not change what was released
        await after.release("line", by="ben")
        assert await said(after) == "new"
        record, _ = await after.roll_back("line", by="ann")
        assert (await said(after), record.version) == ("old", OLD.version)
        history = await after.releases_of("line")
        events = await after.control_events(what="release")
    assert (events[0].before, events[0].after, events[0].by) == (
        {"version": NEW.version},
        {"version": OLD.version},
        "ann",
    )
    assert [(one.version, one.set_by) for one in history] == [
        (OLD.version, "ann"),
        (NEW.version, "ben"),
        (OLD.version, "ann"),
    ]


@SHARED
async def test_queued_runs_begin_with_what_the_name_stands_for_then_and_end_with_it(app):
    async with app(OLD) as old, app(NEW) as new:
        waiting = await old.enqueue("line", {"question": "q"})
        _, follow = await new.release("line")
        assert follow == 1
        await Worker(new, until_empty=True).run()
        run = await new.ledger.run(waiting.run_id)
        output = await new.ledger.value(run.output_payload)
    assert (run.version, output["answer"]) == (NEW.version, "new")


@SHARED
async def test_a_process_that_has_not_heard_yet_queues_runs_that_begin_with_the_release_all_the_same(app):
    async with app(OLD) as old, app(NEW) as new:
        await old.release("line")
        await old.enqueue("line", {"question": "q"})
        await new.release("line")
        late = await old.enqueue("line", {"question": "r"})  # it goes by what it has read a moment ago
        assert late.version == OLD.version
        old.clock.advance(2)
        await Worker(old, until_empty=True).run()
        run = await old.ledger.run(late.run_id)
    assert run.version == NEW.version


@SHARED
async def test_a_name_of_ones_own_can_be_released_and_run(app):
    async with app(OLD) as old:
        await said(old)
    async with app(NEW) as new:
        await new.release("canary", OLD.version[:10])
        assert (await said(new, "canary"), await said(new)) == ("old", "new")


@SHARED
async def test_the_first_release_rolls_back_to_the_code(app):
    async with app(OLD) as old:
        await old.release("line")
    async with app(NEW) as new:
        assert await said(new) == "old"
        record, _ = await new.roll_back("line")
        assert (record.version, await said(new)) == (None, "new")


@SHARED
async def test_what_cannot_be_released_is_refused_in_a_sentence(app):
    async with app(OLD) as old:
        with pytest.raises(InputError, match="no version in this ledger begins with 'ffff'"):
            await old.release("line", "ffff")
        with pytest.raises(InputError, match="nothing was ever released under 'line'"):
            await old.roll_back("line")
