"""Where texts come from: whom a run may obey, and whom it only reads."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class TextOrigin(StrEnum):
    """Who said a text; `Annotated[str, TextOrigin.DOCUMENT]` marks a field whose input nobody wrote to the run."""

    USER = "user"
    """Whoever the run works for, or a person who was asked."""
    SYSTEM = "system"
    """The author of the workflow: its prompts, constants and defaults."""
    DOCUMENT = "document"
    """What a retriever found, or a document that the run was given."""
    TOOL = "tool"
    """What a tool, a runnable or code that is not the engine's answered."""
    MODEL = "model"
    """What a model wrote, of whatever it had read."""


Origins = frozenset[TextOrigin]

TRUSTED: Origins = frozenset({TextOrigin.USER, TextOrigin.SYSTEM})
"""Whose words may say what is done, and to whom."""


PROMPT = "the prompt"
"""How a source that is a prompt of the workflow is called; no field can be called so."""


class Source(BaseModel):
    """Something that a run knows, and everyone who had a part in it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """The field of the state, the tool that answered, or the part of a conversation."""
    origins: Origins
    """Who had a part in it, through however many steps."""
    value: Any
    """JSON."""

    @property
    def is_trusted(self) -> bool:
        """Whether nobody had a part in it but the user and the author of the workflow."""
        return self.origins <= TRUSTED
