"""LangGraph graphs and LangChain runnables, as their users write them, that tests bring as nodes."""

import asyncio
from typing import Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from engine.errors import RateLimited
from engine.testing import ScriptedModel

LONG_ANSWER = 50


class Talk(TypedDict, total=False):
    question: str
    draft: str
    answer: str


class Capped(ScriptedModel):
    """A scripted model that says how long its answers may be."""

    max_tokens: int = LONG_ANSWER


class Stalling(ScriptedModel):
    """A scripted model that never answers."""

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")


model = Capped(script=["a draft", "an answer"], input_tokens=40)
silent = ScriptedModel(script=["well"], input_tokens=None)
failing = ScriptedModel(script=[RateLimited("slow down"), "better"])
stalling = Stalling()
sent: list[str] = []


async def draft(state: Talk) -> Talk:
    return {"draft": (await model.ainvoke(state["question"])).text}


async def polish(state: Talk) -> Talk:
    return {"answer": (await model.ainvoke([("user", state["draft"])])).text}


def polish_in_a_thread(state: Talk) -> Talk:
    return {"answer": model.invoke(state["draft"]).text}


async def polish_and_block(state: Talk) -> Talk:
    return {"answer": model.invoke(state["draft"]).text}


async def ask_a_person(state: Talk) -> Talk:
    return {"answer": interrupt("may I?")}


async def leave(state: Talk) -> Command[Any]:
    return Command(graph=Command.PARENT, goto="elsewhere")


async def both(state: Talk) -> Talk:
    first, second = await asyncio.gather(model.ainvoke("one"), model.ainvoke("two"))
    return {"answer": f"{first.text}, {second.text}"}


def _line(*nodes: Any, **options: Any) -> Any:
    builder = StateGraph(Talk)
    builder.add_sequence(list(nodes))
    builder.add_edge(START, nodes[0].__name__)
    builder.add_edge(nodes[-1].__name__, END)
    return builder.compile(**options)


graph = _line(draft, polish)
threaded = _line(draft, polish_in_a_thread)
blocking = _line(draft, polish_and_block)
interrupting = _line(ask_a_person)
interrupting_with_memory = _line(ask_a_person, checkpointer=InMemorySaver())
leaving = _line(leave)
side_by_side = _line(both)
remembering = _line(draft, polish, checkpointer=InMemorySaver())


async def _send_and_ask(question: str) -> str:
    sent.append(question)
    return (await failing.ainvoke(question)).text


sending = RunnableLambda(_send_and_ask)
asking_silent = silent | RunnableLambda(lambda message: message.text)
asking_stalling = stalling | RunnableLambda(lambda message: message.text)
not_json = RunnableLambda(lambda _: object())
not_a_runnable = draft
