"""What a retriever returns: passages with their sources."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Passage(BaseModel):
    """A piece of a document, with where it came from and how well it matched."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    id: str
    """Names the piece within its collection; the same piece keeps its id."""
    text: str
    title: str = ""
    """The document's title and the headings above the piece."""
    source: str = ""
    """The document: a path or an address."""
    score: float = 0.0
    """How well it matched; larger is better, comparable only within one answer."""
    meta: dict[str, Any] = Field(default_factory=dict)
    """Positions and whatever else the retriever knows; JSON."""


class Retrieved(BaseModel):
    """The answer of a retriever: passages, best first, and the version of what was searched."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    passages: list[Passage]
    retriever_version: str | None = None
    """Names the configuration and the content that were searched."""
