"""Answer a question from documents with citations, or hand it to a person."""

from workflows.answer_docs.definition import Ask, answer_docs

__all__ = ["Ask", "answer_docs"]
