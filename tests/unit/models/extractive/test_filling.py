"""Objects of the embedded answerer: they always fit the schema, and options are chosen by what a message says."""

import json
from typing import Any, Literal

import jsonschema_rs
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from engine.models.extractive import Extractive

QUEUES = """You sort messages into one category each:
- refund: money back, a charge, an invoice, a payment or a cancelled order
- outage: something is down, fails, is broken, slow or cannot be reached
- question: anything else: how something works, where it is, what it means"""


def filled(schema: dict[str, Any], message: str, system: str = QUEUES, **options: Any) -> Any:
    said = Extractive().invoke([SystemMessage(system), HumanMessage(message)], response_schema=schema, **options)
    return json.loads(str(said.content))


class Sorted(BaseModel):
    category: Literal["refund", "outage", "question"]


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("I was charged twice for my order and want my money back.", "refund"),
        ("Please refund the payments on my last two invoices.", "refund"),
        ("The dashboard is down and the API is failing for all of us.", "outage"),
        ("Nothing loads, the site cannot be reached since this morning.", "outage"),
        ("How does the export to CSV work?", "question"),
        ("Hello there", "question"),
    ],
)
def test_the_option_is_the_one_whose_description_shares_words_with_the_message(message: str, category: str) -> None:
    assert filled(Sorted.model_json_schema(), message) == {"category": category}


def test_options_may_be_described_beside_the_message() -> None:
    message = "- spam: offers, prizes\n- ham: everything else\n\nYou have won a prize!"
    schema = {"type": "object", "properties": {"kind": {"enum": ["ham", "spam"]}}}
    assert filled(schema, message, system="Sort the mail.") == {"kind": "spam"}


def test_without_any_shared_word_the_default_is_chosen() -> None:
    schema = {"type": "object", "properties": {"level": {"enum": ["low", "high"], "default": "low"}}}
    assert filled(schema, "zzz") == {"level": "low"}


class Inner(BaseModel):
    page: int = Field(ge=1, le=500)


class Everything(BaseModel):
    kind: Literal["refund", "outage"] | None
    constant: Literal["v1"]
    text: str = Field(min_length=3, max_length=40)
    note: str | None = None
    amount: float = Field(gt=0, le=100)
    count: int = Field(ge=2, multiple_of=2)
    urgent: bool
    tags: list[Literal["refund", "outage", "question"]]
    words: list[str] = Field(min_length=1, max_length=3)
    inner: Inner
    nothing: None = None


@pytest.mark.parametrize("message", ["I want 30 EUR back, it is urgent!", "", "x" * 1000, "12 24 36 monkeys", "不"])
def test_an_object_always_fits_its_schema(message: str) -> None:
    schema = Everything.model_json_schema()
    found = filled(schema, f"Please: {message}")
    jsonschema_rs.validate(schema, found)
    Everything.model_validate(found)


def test_numbers_and_yes_or_no_are_read_from_the_message() -> None:
    found = filled(Everything.model_json_schema(), "I want 30 EUR back, it is urgent!")
    assert (found["amount"], found["count"], found["urgent"]) == (30, 30, True)
    assert filled(Everything.model_json_schema(), "It is not urgent.")["urgent"] is False


def test_texts_are_quoted_from_the_passages_where_there_are_some() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    message = "[1] Colours\nThe sky is blue. Grass is green.\n\nQuestion: What colour has grass?"
    assert filled(schema, message) == {"answer": "Grass is green."}
    unknown = filled(schema, message.replace("grass?", "the king of Spain?"))
    assert unknown["answer"].startswith("I do not know")


def test_texts_are_shortened_to_the_tokens_that_are_allowed() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    said = Extractive().invoke([HumanMessage("many words " * 100)], response_schema=schema, max_tokens=20)
    assert said.usage_metadata is not None
    assert said.usage_metadata["output_tokens"] <= 20
    assert json.loads(str(said.content))["text"].startswith("many words")
    assert said.response_metadata["finish_reason"] == "stop"


def test_an_object_that_cannot_fit_ends_with_length() -> None:
    said = Extractive().invoke([HumanMessage("hello")], response_schema=Everything.model_json_schema(), max_tokens=5)
    assert said.response_metadata["finish_reason"] == "length"


@pytest.mark.parametrize(
    "property_schema",
    [
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        {"type": "string", "minLength": 5000},
        {"type": "number", "minimum": 3, "maximum": 2},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "minItems": 1},
        {"allOf": [{"minimum": 1}, {"maximum": 2}]},
        {"$ref": "#/$defs/missing"},
        {},
    ],
)
def test_what_words_cannot_give_is_refused_with_a_sentence(property_schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the embedded model cannot fill 'field': it"):
        filled({"type": "object", "properties": {"field": property_schema}}, "hello")


def test_only_objects_are_filled() -> None:
    with pytest.raises(ValueError, match="fills objects only"):
        filled({"type": "string"}, "hello")
    with pytest.raises(ValueError, match="requires properties"):
        filled({"type": "object", "required": ["a"]}, "hello")


def test_a_schema_that_refers_to_itself_is_refused() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}
    with pytest.raises(ValueError, match="nested too deeply"):
        filled({"$defs": {"node": node}, **node}, "hello")
