"""Nothing is told where nobody listens, and whoever does listen, inside a node or around, is told."""

from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
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


async def shout(question: str) -> list[str]:
    """Ask a chain that somebody listens to."""
    chain = RunnableLambda(str.upper, name="upper")
    return [await chain.ainvoke(question, config={"callbacks": [INSIDE]})]


async def test_who_listens_to_a_chain_inside_a_node_is_told():
    workflow = line(("shout", Compute(function=shout, into="notes")))
    async with app_for(workflow) as app:
        result = await app.run(workflow.name, QUESTION)
    assert INSIDE.begun == ["upper"] and INSIDE.ended == [result.output["notes"][0]]


async def test_who_listens_to_all_that_a_process_runs_is_told_of_every_node():
    listening = Listening()
    token = AROUND.set(listening)
    try:
        workflow = line(("note", noting()))
        async with app_for(workflow) as app:
            await app.run(workflow.name, QUESTION)
    finally:
        AROUND.reset(token)
    assert "note" in listening.begun
