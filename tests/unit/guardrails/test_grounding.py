"""Grounding: numbers and names of an answer stand in its sources."""

import pytest

from engine import Action, GuardItem, Stage
from guardrails import Grounding

SOURCE = (
    "In the third quarter of 2020 Ann Smith sold twenty-five shops in China for $1,200.50 million, said the World "
    "Trade Organisation. Nobody paid twelve fifty."
)


async def faults(answer, **fields):
    item = GuardItem(
        stage=Stage.MODEL_OUTPUT, value={"answer": answer}, state={"passages": [{"id": "1", "text": SOURCE}]}
    )
    return [verdict.reason for _, verdict in await Grounding(**fields).check(item)]


@pytest.mark.parametrize(
    "answer",
    [
        "Ann sold 25 shops for $1200.5 million.",
        "In Q3 of 2020 Smith's shops went, the Chinese ones.",
        "It was the WTO that said so, in quarter 3.",
        "Nobody paid $12.50.",
        "",
    ],
)
async def test_what_the_sources_say_in_another_form_is_grounded(answer):
    assert await faults(answer) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Ann sold 26 shops.", "the number 26 is not in the sources"),
        ("She sold forty shops.", "the number 40 is not in the sources"),
        ("The seller was Robert.", "the name Robert is not in the sources"),
    ],
)
async def test_a_number_or_name_that_is_nowhere_is_named(answer, fault):
    assert await faults(answer) == [fault]


async def test_where_it_is_asked_most_words_of_a_sentence_are_the_sources():
    answer = "The weather improved because penguins danced all night."
    assert await faults(answer) == []
    assert "of the words of" in (await faults(answer, least_covered=0.7))[0]


async def test_an_answer_is_turned_down_as_it_is_asked():
    item = GuardItem(stage=Stage.MODEL_OUTPUT, value={"answer": "It cost 99."}, state={"passages": []})
    ((path, verdict),) = await Grounding(action="block").check(item)
    assert (path, verdict.action) == ("answer", Action.BLOCK)
