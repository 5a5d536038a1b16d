"""What a target answered."""

from dataclasses import dataclass
from typing import Any

from engine.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a target answered, and what is written down of it.

    Attributes:
        value: what the node gets.
        response: JSON for the ledger.
        usage: tokens as the provider counted them; None if it did not say.
        requests_left: how many more the provider says that it takes now, and `tokens_left` with how many tokens.
    """

    value: Any
    response: Any
    usage: Usage | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    retriever_version: str | None = None
    requests_left: int | None = None
    tokens_left: int | None = None
