"""Nodes that nobody listens to: they run in the task that LangGraph gives them, without a word to callbacks."""

from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from types import coroutine
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

_OF_THE_NODE = frozenset({"run_name", "run_id"})  # not of what is called inside it


class Unheard(Runnable[Any, Any]):
    """A node and what writes down its result, one after another; where somebody listens, LangGraph's own sequence."""

    def __init__(self, sequence: Any) -> None:
        self._sequence = sequence
        self._node, *self._writers = cast("list[Runnable[Any, Any]]", sequence.steps)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Leave it to LangGraph."""
        return self._sequence.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the node and write its result down; what the node calls finds the same around it as ever."""
        callbacks = (config or {}).get("callbacks")
        if config is None or not isinstance(callbacks, BaseCallbackManager) or callbacks.handlers:
            return await self._sequence.ainvoke(input, config, **kwargs)
        config = cast("RunnableConfig", {key: value for key, value in config.items() if key not in _OF_THE_NODE})
        context = copy_context()
        context.run(var_child_runnable_config.set, config)
        result = await _within(context, self._node.ainvoke(input, config, **kwargs))
        for writer in self._writers:
            result = writer.invoke(result, config)
        return result


@coroutine
def _within(context: Context, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Do some work in a context of its own, as a task would, without one."""
    go_on, given = work.send, None
    while True:
        try:
            waits_for = context.run(go_on, given)
        except StopIteration as ended:
            return ended.value
        try:
            go_on, given = work.send, (yield waits_for)
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            go_on, given = work.throw, error


def spare_callbacks(graph: Any) -> None:
    """Have the nodes of a compiled graph spare what nobody hears: two tasks and a quarter of the calls of a visit."""
    for node in graph.nodes.values():
        if hasattr(node.node, "steps"):
            node.node = Unheard(node.node)
