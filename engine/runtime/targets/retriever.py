"""A retriever as a target: an async function, or a LangChain retriever or vector store."""

import asyncio
import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import ValidationError

from engine.definition.by_path import faults_of
from engine.definition.passage import Passage, Retrieved
from engine.errors import ToolFailed
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import tool_error
from engine.runtime.run import Call
from engine.runtime.targets.unbilled import Unbilled


@dataclass(frozen=True, slots=True)
class RetrieverTarget(Unbilled):
    """A retriever that a step asks; the payload of the call is {query, top_k, arguments}."""

    retriever: Any
    path: str

    @property
    def name(self) -> str:
        """The retriever, for breakers and messages."""
        return f"the retriever {self.path!r}"

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which retriever; it only reads."""
        del call
        record.tool_name, record.tool_effect = self.path, "read"

    async def send(self, call: Call) -> Answer:
        """Ask, and bring the answer into one form."""
        try:
            raw = await self._ask(**call.payload)
        except call.run.control_flow:
            raise
        except Exception as error:
            raise tool_error(error, self.name) from error
        found = self._as_retrieved(raw)
        return Answer(value=found, response=found.model_dump(mode="json"), retriever_version=found.retriever_version)

    def restore(self, call: Call, response: Any) -> Answer:
        """Give the answer again."""
        del call
        found = Retrieved.model_validate(response)
        return Answer(value=found, response=response, retriever_version=found.retriever_version)

    async def _ask(self, query: str, top_k: int, arguments: Mapping[str, Any]) -> Any:
        if isinstance(self.retriever, BaseRetriever):
            return (await self.retriever.ainvoke(query, **arguments))[:top_k]
        if isinstance(self.retriever, VectorStore):
            return await self.retriever.asimilarity_search(query, k=top_k, **arguments)
        if inspect.iscoroutinefunction(self.retriever):
            return await self.retriever(query, top_k=top_k, **arguments)
        answer = await asyncio.to_thread(self.retriever, query, top_k=top_k, **arguments)
        return await answer if inspect.isawaitable(answer) else answer

    def _as_retrieved(self, raw: Any) -> Retrieved:
        if isinstance(raw, Retrieved):
            return raw
        if not isinstance(raw, list):
            raise ToolFailed(f"{self.name} must return Retrieved or a list of passages, not {type(raw).__name__}")
        try:
            return Retrieved(passages=[_passage(item) for item in cast("list[Any]", raw)])
        except ValidationError as error:
            raise ToolFailed(f"{self.name} returned what is not a passage: {'; '.join(faults_of(error))}") from error


def _passage(item: Any) -> Passage:
    if isinstance(item, Passage):
        return item
    if isinstance(item, str):
        return Passage(id=_content_id(item), text=item)
    if isinstance(item, Document):
        meta = dict(item.metadata)
        return Passage(
            id=str(item.id or _content_id(item.page_content)),
            text=item.page_content,
            title=str(meta.pop("title", "")),
            source=str(meta.pop("source", "")),
            meta=meta,
        )
    return Passage.model_validate(item)


def _content_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
