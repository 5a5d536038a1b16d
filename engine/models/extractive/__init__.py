"""The embedded answerer: quotes the sentences of given passages that answer a question."""

from engine.models.extractive.model import Extractive

__all__ = ["Extractive"]
