"""What a question to a person shows, read off the ledger."""

from typing import Any

from engine.records import QuestionRecord
from engine.store.ledger import SqlLedger


async def values_of(ledger: SqlLedger, asked: QuestionRecord) -> dict[str, Any]:
    """Read what a question shows, and what was or may be answered."""
    named = {
        "shown": asked.shown_payload,
        "schema": asked.schema_payload,
        "default": asked.default_payload,
        "answer": asked.answer_payload,
    }
    return {key: None if name is None else await ledger.value(name) for key, name in named.items()}
