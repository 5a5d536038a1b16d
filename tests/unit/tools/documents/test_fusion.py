"""Fusion: what many retrievers rank high comes first."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import ConfigurationError, Passage, Retrieved, ToolFailed
from tools.documents import Fusion, fuse

RANKINGS = st.dictionaries(st.sampled_from("xyz"), st.lists(st.sampled_from("abcdefgh"), unique=True))


def ranking(names: str | list[str]) -> list[Passage]:
    return [Passage(id=name, text=name, score=float(len(names) - rank)) for rank, name in enumerate(names)]


def order(passages: list[Passage]) -> str:
    return "".join(passage.id for passage in passages)


def answering(names: str, version: str = "v1", asked: list[dict[str, Any]] | None = None) -> Any:
    async def retrieve(query: str, *, top_k: int = 6, **parameters: Any) -> Retrieved:
        if asked is not None:
            asked.append({"query": query, "top_k": top_k, **parameters})
        return Retrieved(passages=ranking(names)[:top_k], retriever_version=version)

    return retrieve


async def failing(query: str, *, top_k: int = 6) -> Retrieved:
    raise ToolFailed("the index is away")


def test_a_passage_that_two_rank_beats_one_that_one_ranks_first() -> None:
    assert order(fuse({"words": ranking("abc"), "meaning": ranking("dbe")})) == "badce"


def test_the_score_is_the_sum_of_reciprocal_ranks() -> None:
    best = fuse({"words": ranking("ab"), "meaning": ranking("ba")}, k=10)[0]
    assert best.score == pytest.approx(1 / 11 + 1 / 12)


def test_what_each_retriever_said_is_kept() -> None:
    best = fuse({"words": ranking("ab"), "meaning": ranking("cb")})[0]
    assert (best.id, best.meta) == (
        "b",
        {"ranks": {"words": 2, "meaning": 2}, "scores": {"words": 1.0, "meaning": 1.0}},
    )


def test_a_passage_that_one_names_twice_counts_once() -> None:
    fused = fuse({"words": ranking(["a", "a", "b"])}, k=10)
    assert [(passage.id, passage.meta["ranks"]) for passage in fused] == [("a", {"words": 1}), ("b", {"words": 2})]


@settings(deadline=None)
@given(RANKINGS)
def test_everything_found_comes_once_in_an_order_that_is_always_the_same(names: dict[str, list[str]]) -> None:
    rankings = {name: ranking(found) for name, found in names.items()}
    fused = fuse(rankings)
    assert sorted(order(fused)) == sorted({name for found in names.values() for name in found})
    assert fused == sorted(fused, key=lambda passage: (-passage.score, passage.id))
    assert order(fused) == order(fuse(dict(reversed(rankings.items()))))


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_one_ranking_keeps_its_order(names: list[str]) -> None:
    assert order(fuse({"only": ranking(names)})) == "".join(names)


async def test_all_retrievers_are_asked_for_more_than_is_given() -> None:
    asked: list[dict[str, Any]] = []
    fusion = Fusion({"words": answering("abc", asked=asked), "meaning": answering("cd", asked=asked)}, depth=10)
    found = await fusion("why", top_k=2, collection="docs")
    assert order(found.passages) == "ca"
    assert asked == [{"query": "why", "top_k": 10, "collection": "docs"}] * 2


async def test_the_version_follows_those_of_the_retrievers() -> None:
    versions = {
        (await Fusion({"words": answering("a", version)}, k=k)("why")).retriever_version
        for version in ("v1", "v2")
        for k in (10, 60)
    }
    assert len(versions) == 4


async def test_the_failure_of_one_is_the_failure_of_all() -> None:
    with pytest.raises(ToolFailed, match="the index is away"):
        await Fusion({"words": answering("a"), "meaning": failing})("why")


def test_a_fusion_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one retriever"):
        Fusion({})
