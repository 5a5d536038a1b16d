"""JsonSchema and MaxLength do what they say."""

import gzip
import json

import pytest

from engine import Action, DefinitionError, GuardItem, Guardrail, Stage
from guardrails.json_schema import JsonSchema
from guardrails.max_length import MaxLength
from tests.public_data import GUARDRAILS

SCHEMA = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
CASES = GUARDRAILS / "json_schema.jsonl.gz"
ONLY_ANNOTATIONS = ("draft2020-12/format.json", "draft2020-12/content.json")
"""Cases in which a format must be ignored; the guardrail checks formats, for that is why they are declared."""


def item(value, **fields):
    return GuardItem(stage=Stage.MODEL_OUTPUT, value=value, **fields)


async def test_a_value_or_the_json_in_a_text_must_fit_the_schema():
    guard = JsonSchema(document=SCHEMA)
    assert await guard.check(item({"answer": '{"size": 3}', "object": {"size": 3}})) == []
    ((path, verdict),) = await guard.check(item({"answer": '{"size": "big"}'}))
    assert (path, verdict.action) == ("answer", Action.REASK)
    assert verdict.reason.startswith("at /size: ")
    ((_, verdict),) = await guard.check(item({"answer": "no json"}))
    assert verdict.reason.startswith("it is not JSON")


@pytest.mark.parametrize("document", [{"type": "nonsense"}, {"$ref": "https://example.com/schema.json"}])
def test_a_schema_that_is_none_or_is_elsewhere_is_refused_when_it_is_declared(document):
    with pytest.raises(DefinitionError, match="document is not a JSON Schema"):
        JsonSchema(document=document)


@pytest.mark.skipif(not CASES.exists(), reason="the public guardrail data is not beside the project")
async def test_the_official_cases_are_judged_right():
    wrong, judged = [], 0
    with gzip.open(CASES, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        schema, category = row["schema"], row["category"]
        if not isinstance(schema, dict) or category in ONLY_ANNOTATIONS:
            continue
        if category.startswith("draft7"):
            schema.setdefault("$schema", "http://json-schema.org/draft-07/schema#")
        try:
            guard = JsonSchema(document=schema)
        except DefinitionError:
            continue  # it refers to a schema that is elsewhere
        judged += 1
        found = await guard.check(item({"value": json.dumps(row["text"])}))
        if (row["label"] == "valid") != (found == []):
            wrong.append(row["id"])
    assert wrong == []
    assert judged > 0.9 * len(rows)


@pytest.mark.parametrize("text", ['{"size": 3,}', "```json\n{'size': 3}\n```", '{"size": 3', "{size: 3} // so"])
async def test_json_that_is_almost_right_is_mended_and_said_to_be(text):
    ((path, verdict),) = await JsonSchema(document=SCHEMA, repair=True).check(item({"answer": text}))
    assert (path, verdict.action, json.loads(verdict.value)) == ("answer", Action.FIX, {"size": 3})
    assert "was mended" in verdict.reason
    ((_, verdict),) = await JsonSchema(document=SCHEMA).check(item({"answer": text}))
    assert verdict.action is Action.REASK


@pytest.mark.parametrize("text", ['{"size": "big",}', "hello", "", "[1,", '{"size": NaN}', "[" * 60_000])
async def test_what_does_not_fit_once_it_is_mended_is_not_accepted(text):
    ((_, verdict),) = await JsonSchema(document=SCHEMA, repair=True).check(item({"answer": text}))
    assert verdict.action is Action.REASK


async def test_arguments_of_a_side_effect_are_never_mended():
    guard = JsonSchema(document=SCHEMA, repair=True)
    told = {"stage": Stage.TOOL_ARGUMENTS, "value": {"body": '{"size": 3,}'}}
    for effect, action in (("once", Action.REASK), (None, Action.REASK), ("read", Action.FIX)):
        ((_, verdict),) = await guard.check(GuardItem(**told, effect=effect))
        assert verdict.action is action


async def test_a_long_text_is_blocked_or_cut_at_a_sentence():
    assert await MaxLength(characters=10).check(item({"answer": "short"})) == []
    ((path, verdict),) = await MaxLength(characters=10).check(item({"answer": ["fine", "much too long"]}))
    assert (path, verdict.action) == ("answer[1]", Action.BLOCK)
    assert verdict.reason == "answer[1] has 13 characters, and 10 are allowed"
    ((_, verdict),) = await MaxLength(characters=24, action="fix").check(item("One sentence. Another sentence."))
    assert verdict.value == "One sentence."
    ((_, verdict),) = await MaxLength(characters=5, action="fix").check(item("abcdefghij"))
    assert verdict.value == "abcde"


@pytest.mark.parametrize("guard", [JsonSchema(document=SCHEMA), MaxLength(characters=3)])
def test_a_guardrail_survives_json(guard):
    assert Guardrail.load(guard.model_dump(mode="json")) == guard
