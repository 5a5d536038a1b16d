"""A parent starts its children, starts again what ended, waits longer each time, and passes signals on."""

import asyncio

import pytest

from engine.operating.fresh_code import changed, stamps
from engine.operating.parent import DRAINED, TOO_LARGE, Parent

DRAINS = "trap 'exit 0' TERM; while :; do sleep 0.02; done"


def parent_of(script: str, said: list[str], **fields: object) -> Parent:
    """Have children that are scripts of the shell; $1 is their number."""
    children = fields.pop("processes", 1)
    return Parent(
        lambda number: ["bash", "-c", script, "child", str(number)],
        children,
        say=said.append,
        first_wait=0.01,
        **fields,
    )


async def until(is_so: object) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came so far")


async def test_children_that_end_well_are_done_and_what_they_say_is_added_up():
    said: list[str] = []
    parent = parent_of(
        'echo "{\\"succeeded\\": 2, \\"failed\\": $1}" >&$FLOWLEDGER_PARENT_LINE', said, processes=3, until_empty=True
    )
    assert await parent.run() == 0
    assert (parent.ended, said) == ({"succeeded": 6, "failed": 3}, [])


async def test_a_child_that_dies_is_started_again_each_time_later(tmp_path):
    said: list[str] = []
    lives = tmp_path / "lives"
    script = f"echo x >> {lives}; [ $(wc -l < {lives}) -gt 3 ] && exit 0; kill -9 $$"
    assert await parent_of(script, said, until_empty=True).run() == 0
    assert [line.rpartition("again in ")[2] for line in said] == ["0.01 s", "0.02 s", "0.04 s"]
    assert said[0].startswith("worker process 1 of 1 ended by SIGKILL")


async def test_a_child_that_has_grown_too_large_is_replaced_at_once(tmp_path):
    said: list[str] = []
    script = f"[ -e {tmp_path}/was ] && exit 0; touch {tmp_path}/was; exit {TOO_LARGE}"
    assert await parent_of(script, said, until_empty=True).run() == 0
    assert said == ["worker process 1 of 1 has drained, since it held too much memory: it is started again now"]


async def test_a_child_that_was_asked_to_drain_does_not_come_back():
    said: list[str] = []
    assert await parent_of(f"exit {DRAINED}", said).run() == 0
    assert said == ["worker process 1 of 1 has drained, as it was asked to"]


async def test_a_wrong_configuration_ends_all_with_its_code():
    said: list[str] = []
    parent = parent_of(f"[ $1 = 1 ] && exit 2; {DRAINS}", said, processes=2)
    assert await asyncio.wait_for(parent.run(), 20) == 2


async def test_a_signal_drains_the_children_and_a_second_one_stops_them_now(tmp_path):
    said: list[str] = []
    up = f"touch {tmp_path}/$1"
    parent = parent_of(f"trap 'exit 0' TERM; {up}; while :; do sleep 0.02; done", said, processes=2)
    running = asyncio.create_task(parent.run())
    await until(lambda: len(list(tmp_path.iterdir())) == 2)
    parent.stop()
    assert await asyncio.wait_for(running, 20) == 0

    twice = f"n=0; trap 'n=$((n+1)); touch {tmp_path}/got$n; [ $n = 2 ] && exit 130' TERM; touch {tmp_path}/busy; "
    parent = parent_of(twice + "while :; do sleep 0.02; done", said)
    running = asyncio.create_task(parent.run())
    await until((tmp_path / "busy").exists)
    parent.stop()
    await until((tmp_path / "got1").exists)
    parent.stop()
    assert await asyncio.wait_for(running, 20) == 130
    assert said == []


async def test_children_are_told_to_drain_and_start_again_when_the_code_changes(tmp_path):
    said: list[str] = []
    (tmp_path / "app.py").write_text("one = 1\n", encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    lives = tmp_path / "lives"
    known = stamps(tmp_path)
    assert [name.rpartition("/")[2] for name in known] == ["app.py"]
    parent = parent_of(
        f"trap 'exit 0' TERM; echo x >> {lives}; while :; do sleep 0.02; done",
        said,
        changes=lambda: changed(tmp_path, known),
    )
    running = asyncio.create_task(parent.run())
    await until(lives.exists)
    (tmp_path / ".venv" / "other.py").write_text("", encoding="utf-8")
    (tmp_path / "app.py").write_text("two = 22\n", encoding="utf-8")
    await until(lambda: lives.read_text(encoding="utf-8") == "x\nx\n")
    parent.stop()
    assert await asyncio.wait_for(running, 20) == 0
    assert said == [f"{tmp_path}/app.py changed: workers drain and start again"]


@pytest.mark.parametrize("code", [2, 3])
async def test_code_that_cannot_start_is_tried_again_when_it_has_changed(tmp_path, code):
    said: list[str] = []
    change = asyncio.Event()

    async def changes() -> list[str]:
        await change.wait()
        change.clear()
        return ["app.py", "other.py"]

    parent = parent_of(f"[ -e {tmp_path}/mended ] && exit 0; exit {code}", said, changes=changes, until_empty=True)
    parent.first_wait = 30.0
    running = asyncio.create_task(parent.run())
    await until(lambda: said)
    (tmp_path / "mended").touch()
    change.set()
    assert await asyncio.wait_for(running, 20) == 0
    assert said[0].endswith("when the code changes" if code == 2 else "in 30 s")
    assert said[1] == "app.py and 1 more changed: workers drain and start again"


async def test_a_child_hears_that_its_parent_is_gone(tmp_path):
    script = f"trap '' TERM; touch {tmp_path}/up; cat <&$FLOWLEDGER_PARENT_LINE || true; touch {tmp_path}/alone"
    parent = parent_of(script, [])
    running = asyncio.create_task(parent.run())
    await until((tmp_path / "up").exists)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until((tmp_path / "alone").exists)
