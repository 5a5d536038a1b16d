"""A cache that knows texts that say nearly the same: what is given, what is charged, and what is never mixed up."""

from collections import Counter
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

from engine import Budget, Cache, DefinitionError, Generate, Model, Price, Retry, Similar
from engine.testing import ScriptedModel, StillClock
from engine.vectors import likeness, packed, unpacked
from tests.databases import SHARED, ready
from tests.flows import app_for, line


class Letters(Embeddings):
    """Counts letters: a stand-in whose vectors are alike where words are."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        """Give the vector of a text."""
        self.asked.append(text)
        if "poison" in text:
            return [float("nan"), 1.0]
        if "broken" in text:
            raise ConnectionError("the embedding model is away")
        counts = Counter(text.lower())
        return [float(counts[letter]) for letter in "abcdefghijklmnopqrstuvwxyz"]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Give those of several."""
        return [self.embed_query(text) for text in texts]


letters = Letters()
LIKE = Similar(field="question", embeddings="tests.unit.runtime.test_similar:letters", price="1")


@pytest.fixture(autouse=True)
def fresh():
    letters.asked.clear()


def draft(similar: Similar = LIKE, **cache: Any) -> Generate:
    kept = Cache(ttl=60, similar=similar, **cache)
    return Generate(
        model="large", prompt="{question} {route}", into="answer", max_tokens=50, cache=kept, retry=Retry(attempts=1)
    )


def saying(*script: Any) -> Model:
    return Model(ScriptedModel(script=list(script)), price=Price(input="1", output="1"))


async def answers(app: Any, *questions: str, **given: Any) -> list[str]:
    return [(await app.run("line", {"question": one, **given})).output["answer"] for one in questions]


async def test_a_text_that_says_nearly_the_same_is_answered_without_asking():
    async with app_for(line(("draft", draft())), large=saying("one", "two")) as app:
        said = await answers(app, "How long do refunds take?", "how long do the refunds take", "Who pays for shipping?")
        assert said == ["one", "one", "two"]
        second = (await app.ledger.runs())[1]
        (step,) = await app.ledger.steps(second.run_id)
        assert (step.cached, step.degraded.startswith("similar 0.9"), step.saved_tokens > 0) == (True, True, True)
        (call,) = await app.ledger.calls(second.run_id)
        assert (call.operation_name, call.purpose, call.cost_nano_usd > 0) == ("embeddings", "cache", True)


async def test_the_very_same_text_needs_no_vector():
    async with app_for(line(("draft", draft())), large=saying("one")) as app:
        assert await answers(app, "same", "same") == ["one", "one"]
        assert letters.asked == ["same"]


async def test_all_else_that_is_read_and_the_tenant_must_be_the_same():
    async with app_for(line(("draft", draft())), large=saying("one", "two", "three")) as app:
        assert await answers(app, "a question", route="left") == ["one"]
        assert await answers(app, "a questions", route="right") == ["two"]
        other = await app.run("line", {"question": "a questionss", "route": "left"}, tenant="other")
        assert other.output["answer"] == "three"


async def test_what_is_too_old_or_not_alike_enough_is_not_given():
    clock, strict = StillClock(), LIKE.model_copy(update={"at_least": 1.0})
    async with app_for(line(("draft", draft(strict))), clock=clock, large=saying("one", "two", "three")) as app:
        assert await answers(app, "a question", "a questions") == ["one", "two"]
        clock.advance(61)
        assert await answers(app, "question a") == ["three"]


async def test_without_an_embedding_model_the_node_does_its_work():
    async with app_for(line(("draft", draft())), large=saying("one", "two")) as app:
        assert await answers(app, "broken", "broken indeed") == ["one", "two"]
        assert await answers(app, " ") == ["two"]
        assert len(letters.asked) == 2


async def test_a_price_that_nobody_knows_is_refused_under_a_budget_in_dollars():
    workflow = line(("draft", draft(LIKE.model_copy(update={"price": None}))), budget=Budget(usd="1"))
    async with app_for(workflow, large=saying("one")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, "give Similar(price=...)" in str(result.error)) == ("failed", True)


async def test_a_vector_that_is_none_is_never_like_another():
    async with app_for(line(("draft", draft())), large=saying("one", "two", "three")) as app:
        assert await answers(app, "poison", "a question", "poison again") == ["one", "two", "three"]


async def test_a_stale_answer_stands_in_where_the_budget_does_not_allow_a_vector():
    clock, kept = StillClock(), draft(stale=1000)
    async with app_for(line(("draft", kept)), clock=clock, large=saying("one")) as app:
        assert await answers(app, "q") == ["one"]
        clock.advance(61)
        app.workflows["line"] = line(("draft", kept), budget=Budget(tokens=1))
        assert await answers(app, "q") == ["one"]


def test_what_is_no_embedding_model_is_refused_when_it_is_named():
    with pytest.raises(DefinitionError, match="it is no Embeddings of LangChain"):
        Similar(field="question", embeddings=likeness)


@SHARED
async def test_another_process_finds_it_too(database_url):
    url, clock = ready(database_url), StillClock()
    async with app_for(line(("draft", draft())), database=url, clock=clock, large=saying("one")) as app:
        assert await answers(app, "How long do refunds take?") == ["one"]
    async with app_for(line(("draft", draft())), database=url, clock=clock, large=saying("two")) as app:
        assert await answers(app, "how long do refunds take") == ["one"]


def test_a_field_that_the_node_does_not_read_cannot_be_compared():
    with pytest.raises(DefinitionError, match="compares 'ticket', which the node does not read"):
        line(("draft", draft(LIKE.model_copy(update={"field": "ticket"}))))


def test_vectors_survive_as_text_and_those_of_other_spaces_are_not_alike():
    assert list(unpacked(packed([3.0, 4.0]))) == pytest.approx([0.6, 0.8])
    assert likeness(unpacked(packed([3, 4])), unpacked(packed([6, 8]))) == pytest.approx(1)
    assert likeness([1.0], [1.0, 0.0]) == 0
    assert list(unpacked(packed([0.0]))) == [0.0]
