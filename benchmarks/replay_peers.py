"""What a replay asks again: LangGraph's time travel, DBOS's fork of a workflow, and ours, over the same three steps.

Each step asks a model once and the second one fails at first; counted is what is asked while the recorded run is
replayed from its beginning, and whether a failure is played again.

uv run --with dbos python benchmarks/replay_peers.py
"""

import asyncio
import tempfile
from typing import Any, TypedDict

from engine import END, START, App, Chain, Generate, Model, Price, Retry, State, Workflow
from engine.errors import Overloaded
from engine.testing import ScriptedModel

STEPS = ("first", "second", "third")


class Asked(State):
    """A question and its last answer."""

    question: str
    answer: str = ""


async def ours() -> tuple[int, str]:
    """Replay a run of ours, and give how often the model was asked meanwhile."""
    nodes = {
        name: Generate(model="m", prompt=f"{name} {{question}}", into="answer", max_tokens=9, retry=Retry(wait=0))
        for name in STEPS
    }
    workflow = Workflow(name="three", state=Asked, nodes=nodes, edges=[Chain(START, *STEPS, END)])
    model = ScriptedModel(script=["a", Overloaded("busy"), "b", "c"])
    with tempfile.TemporaryDirectory() as folder:
        price = Price(input="1", output="1")
        models, database = {"m": Model(model, price=price)}, f"sqlite:///{folder}/runs.db"
        async with App(workflows=[workflow], models=models, database=database) as app:
            run = await app.run("three", {"question": "q"})
            before = len(model.asked)
            replayed = await app.replay(run.run_id)
            failed = sum(call.status == "failed" for call in replayed.calls)
            return len(model.asked) - before, f"{failed} failure played again; its cost in the ledger is 0"


async def langgraph() -> tuple[int, str]:
    """Go back to the first checkpoint of a thread and run on from there."""
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END as LAST
    from langgraph.graph import START as FIRST
    from langgraph.graph import StateGraph
    from langgraph.types import RetryPolicy

    class Said(TypedDict):
        answer: str

    asked: list[str] = []

    def ask(name: str) -> Any:
        def node(state: Said) -> Said:
            del state
            asked.append(name)
            if name == "second" and asked.count("second") == 1:
                raise ConnectionError("busy")
            return {"answer": name}

        return node

    builder = StateGraph(Said)
    for name in STEPS:
        builder.add_node(name, ask(name), retry_policy=RetryPolicy(initial_interval=0.0, jitter=False))
    for one, other in zip((FIRST, *STEPS), (*STEPS, LAST), strict=True):
        builder.add_edge(one, other)
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"answer": ""}, config)
    before = len(asked)
    first = list(graph.get_state_history(config))[-2]
    graph.invoke(None, first.config)
    return len(asked) - before, "the failure is not played; what follows the checkpoint runs again"


def dbos() -> tuple[int, str]:
    """Fork a finished workflow from its first step."""
    from dbos import DBOS

    asked: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        DBOS(config={"name": "peers", "system_database_url": f"sqlite:///{folder}/dbos.db", "log_level": "ERROR"})

        @DBOS.step(retries_allowed=True, interval_seconds=0.01)
        def ask(name: str) -> str:
            asked.append(name)
            if name == "second" and asked.count("second") == 1:
                raise ConnectionError("busy")
            return name

        @DBOS.workflow()
        def three() -> list[str]:
            return [ask(name) for name in STEPS]

        DBOS.launch()
        try:
            handle = DBOS.start_workflow(three)
            handle.get_result()
            before = len(asked)
            DBOS.fork_workflow(handle.get_workflow_id(), 1).get_result()
            return len(asked) - before, "the failure is not played; steps from the chosen one on run again"
        finally:
            DBOS.destroy()


def main() -> None:
    """Run each and print what it asked again."""
    print(f"{'':12}{'asked again':>12}  of 3 answers and 1 failure")
    for name, found in (("flowledger", asyncio.run(ours())), ("LangGraph", asyncio.run(langgraph()))):
        print(f"{name:12}{found[0]:12}  {found[1]}")
    try:
        found = dbos()
    except ImportError:
        print(f"{'DBOS':12}{'-':>12}  not installed: uv run --with dbos ...")
        return
    print(f"{'DBOS':12}{found[0]:12}  {found[1]}")


if __name__ == "__main__":
    main()
