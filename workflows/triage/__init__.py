"""Sort a message, hand it to the right queue, and check that it arrived."""

from workflows.triage.definition import Message, triage

__all__ = ["Message", "triage"]
