"""Callbacks of a graph that nobody listens to: nothing is copied for each node that nobody will read."""

from typing import Any
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackManager, AsyncCallbackManagerForChainRun


def callbacks() -> AsyncCallbackManager:
    """Give the callbacks of a run: those that the process listens to, LangSmith's tracer for example, or none."""
    configured = AsyncCallbackManager.configure()
    return configured if configured.handlers else _Unheard(handlers=[])


class _Unheard(AsyncCallbackManager):
    """Until somebody begins to listen, tells nobody of anything, and keeps no tags and no metadata."""

    def add_tags(self, tags: list[str], inherit: bool = True) -> None:
        if self.handlers:
            super().add_tags(tags, inherit)

    def add_metadata(self, metadata: dict[str, Any], inherit: bool = True) -> None:
        if self.handlers:
            super().add_metadata(metadata, inherit)

    async def on_chain_start(
        self, serialized: dict[str, Any] | None, inputs: Any, run_id: UUID | None = None, **kwargs: Any
    ) -> AsyncCallbackManagerForChainRun:
        if self.handlers:
            return await super().on_chain_start(serialized, inputs, run_id, **kwargs)
        return _UnheardRun(run_id=run_id or uuid4(), handlers=[], inheritable_handlers=[])


class _UnheardRun(AsyncCallbackManagerForChainRun):
    """The same inside a graph or a node."""

    def get_child(self, tag: str | None = None) -> AsyncCallbackManager:
        return super().get_child(tag) if self.inheritable_handlers else _Unheard(handlers=[])

    async def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        if self.handlers:
            await super().on_chain_end(outputs, **kwargs)

    async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        if self.handlers:
            await super().on_chain_error(error, **kwargs)
