"""Nothing is told where nobody listens, and whoever does listen, inside a node or around, is told."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import ensure_config
from langchain_core.tracers.context import register_configure_hook

from engine.nodes.compute import Compute
from tests.flows import QUESTION, app_for, line, noting


class Listening(BaseCallbackHandler):
    """Notes the names of what begins, and what ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[Any] = []

    def on_chain_start(self, *_: Any, name: str = "", **__: Any) -> None:
        self.begun.append(name)

    def on_chain_end(self, outputs: Any, **_: Any) -> None:
        self.ended.append(outputs)


INSIDE = Listening()
AROUND: ContextVar[Listening | None] = ContextVar("around", default=None)
register_configure_hook(AROUND, inheritable=True)


@contextmanager
def heard(listening: Listening) -> Iterator[None]:
    """Listen to all that a process runs."""
    token = AROUND.set(listening)
    yield
    AROUND.reset(token)


async def shout(question: str) -> list[str]:
    """Ask a chain that somebody listens to."""
    chain = RunnableLambda(str.upper, name="upper")
    return [await chain.ainvoke(question, config={"callbacks": [INSIDE]})]


async def test_who_listens_to_a_chain_inside_a_node_is_told():
    workflow = line(("shout", Compute(function=shout, into="notes")))
    async with app_for(workflow) as app:
        result = await app.run(workflow.name, QUESTION)
    assert INSIDE.begun == ["upper"] and INSIDE.ended == [result.output["notes"][0]]


SAID = ContextVar("said", default="nothing")


async def overhear(question: str) -> list[str]:
    """Say what a context says, and under which name what is called here would be traced; then say something."""
    found = [SAID.get(), str(ensure_config().get("run_name"))]
    SAID.set(question)
    await asyncio.sleep(0)
    return [*found, SAID.get()]


async def test_what_a_node_says_in_its_context_no_other_hears_and_its_name_is_its_own():
    workflow = line(*((name, Compute(function=overhear, into="notes")) for name in ("first", "second")))
    async with app_for(workflow) as app:
        notes = (await app.run(workflow.name, QUESTION)).output["notes"]
    assert notes == ["nothing", "None", QUESTION["question"]] * 2
    assert SAID.get() == "nothing"


async def test_a_node_that_nobody_listens_to_begins_no_task_of_its_own():
    begun = list[str]()
    asyncio.get_running_loop().set_task_factory(partial(_noting_task, begun))
    async with app_for(line(("note", noting()))) as app:
        await app.run("line", QUESTION)
        unheard = sum(name.startswith("Runnable") for name in begun)
        with heard(Listening()):
            await app.run("line", QUESTION)
    assert (unheard, sum(name.startswith("Runnable") for name in begun)) == (0, 1)


def _noting_task(begun: list[str], loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    begun.append(work.__qualname__)
    return asyncio.Task(work, loop=loop, **options)


async def test_who_listens_to_all_that_a_process_runs_is_told_of_every_node():
    listening = Listening()
    workflow = line(("note", noting()))
    with heard(listening):
        async with app_for(workflow) as app:
            await app.run(workflow.name, QUESTION)
    assert "note" in listening.begun
