"""Retrieve: ask a retriever for the passages that fit a query."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from engine.definition.by_path import Code
from engine.definition.guardrail import Stage
from engine.definition.node import Node, StepContext, Update
from engine.definition.text_origin import TextOrigin


class Retrieve(Node):
    """Find the passages that fit a query best and write them, best first.

    A retriever is an async function `(query, *, top_k, ...) -> Retrieved | list`, or a LangChain retriever or vector
    store; name an instance by its import path.
    """

    output_stage: ClassVar[Stage] = Stage.PASSAGES
    brings: ClassVar[TextOrigin | None] = TextOrigin.DOCUMENT

    retriever: Code
    """The retriever, or its import path."""
    query: str
    """The field that holds the query."""
    into: str
    """The field that the passages are written to: a list of {id, text, title, source, score, meta}."""
    top_k: int = Field(default=6, ge=1, le=1000)
    """How many passages at the most."""
    args: Mapping[str, str] = Field(default_factory=dict)
    """Further parameters of the retriever, each with the field that holds its value."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The query and the further parameters."""
        return tuple(dict.fromkeys((self.query, *self.args.values())))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The passages."""
        return {self.into: list[dict[str, Any]]}

    @property
    def calls_per_visit(self) -> int:
        """One request."""
        return 1

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Ask the retriever."""
        arguments = {name: inputs[field] for name, field in self.args.items()}
        found = await ctx.retrieve(self.retriever, str(inputs[self.query]), top_k=self.top_k, arguments=arguments)
        return {self.into: [passage.model_dump(mode="json") for passage in found.passages]}
