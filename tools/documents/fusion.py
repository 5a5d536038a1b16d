"""Reciprocal rank fusion: several retrievers answer, and what many of them rank high comes first."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from engine import ConfigurationError, Passage, Retrieved

Retriever = Callable[..., Awaitable[Retrieved]]
"""An async function `(query, *, top_k, ...) -> Retrieved`."""


def fuse(rankings: Mapping[str, Sequence[Passage]], *, k: int = 20) -> list[Passage]:
    """Merge rankings of the same passages, each worth 1 / (k + rank), the first rank being 1.

    Args:
        rankings: passages by the name of who ranked them, best first; equal ids are the same passage.
        k: how little the first ranks stand out, 10 to 60 by custom (Cormack et al., 2009).

    Returns:
        Every passage once, best first, ties ordered by id; `meta["ranks"]` and `meta["scores"]` say what each
        retriever gave it, so that a fusion can be judged again without asking anyone.
    """
    found: dict[str, Passage] = {}
    ranks: dict[str, dict[str, int]] = {}
    given: dict[str, dict[str, float]] = {}
    for name, ranking in rankings.items():
        for passage in ranking:
            found.setdefault(passage.id, passage)
            # A passage that comes twice counts once, where it came first.
            ranks.setdefault(passage.id, {}).setdefault(name, len(given.setdefault(name, {})) + 1)
            given[name].setdefault(passage.id, passage.score)
    fused = [
        passage.model_copy(
            update={
                "score": sum(1 / (k + rank) for rank in ranks[key].values()),
                "meta": {
                    **passage.meta,
                    "ranks": ranks[key],
                    "scores": {name: scores[key] for name, scores in given.items() if key in scores},
                },
            }
        )
        for key, passage in found.items()
    ]
    return sorted(fused, key=lambda passage: (-passage.score, passage.id))


class Fusion:
    """A retriever that asks several at once and fuses their answers.

    Args:
        retrievers: the retrievers by name; each is asked with the same parameters, so bind what only one of them
            takes, as in `functools.partial(search_documents, collection="handbook")`.
        k: see `fuse`.
        depth: how many passages each of them is asked for, at the least.

    Raises:
        ConfigurationError: there are no retrievers, or a number is below 1.
    """

    def __init__(self, retrievers: Mapping[str, Retriever], *, k: int = 20, depth: int = 50) -> None:
        if not retrievers or k < 1 or depth < 1:
            raise ConfigurationError("A fusion needs at least one retriever, and k and depth of at least 1.")
        self._retrievers = dict(retrievers)
        self._k = k
        self._depth = depth

    async def __call__(self, query: str, *, top_k: int = 6, **parameters: Any) -> Retrieved:
        """Ask all retrievers and give the best of what they found together.

        Raises:
            EngineError: what the first retriever that failed raised; the others are stopped.
        """
        depth = max(top_k, self._depth)
        try:
            async with asyncio.TaskGroup() as group:
                asked = {
                    name: group.create_task(_ask(retriever, query, depth, parameters))
                    for name, retriever in self._retrievers.items()
                }
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        answers = {name: answer.result() for name, answer in asked.items()}
        fused = fuse({name: answer.passages for name, answer in answers.items()}, k=self._k)
        versions = "\n".join(f"{name} {answer.retriever_version}" for name, answer in answers.items())
        version = hashlib.sha256(f"fusion {self._k} {depth}\n{versions}".encode()).hexdigest()[:16]
        return Retrieved(passages=fused[:top_k], retriever_version=version)


async def _ask(retriever: Retriever, query: str, depth: int, parameters: Mapping[str, Any]) -> Retrieved:
    return await retriever(query, top_k=depth, **parameters)
