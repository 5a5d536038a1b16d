"""Grounding: numbers and names of an answer stand in its sources."""

import pytest

from engine import Action, GuardItem, Stage
from guardrails import Grounding

SOURCE = (
    "In the third quarter of 2020 Ann Smith sold twenty-five shops in China for $1,200.50 million, said the World "
    "Trade Organisation. Nobody paid twelve fifty."
)


async def faults(answer, source=SOURCE, **fields):
    item = GuardItem(
        stage=Stage.MODEL_OUTPUT, value={"answer": answer}, state={"passages": [{"id": "1", "text": source}]}
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


REPORT = (
    "The board approved the merger on Monday. Profits increased in the northern region, and the DnCNN model is "
    "reliable. Ann did not sign the lease in 2018-19. The price is twelve euros and fifty cents."
)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("The board did not approve the merger.", "“The board did not approve the merger” denies something"),
        ("The board rejected the merger on Monday.", "says 'rejected' where the sources say 'approved'"),
        ("Profits decreased in the northern region.", "says 'decreased' where the sources say 'increased'"),
        ("The model is now unreliable, a CNN model.", "says 'unreliable' where the sources say 'reliable'"),
    ],
)
async def test_a_clause_that_turns_its_source_round_is_found(answer, fault):
    (reason,) = await faults(answer, REPORT)
    assert fault in reason


@pytest.mark.parametrize(
    "answer",
    [
        "The merger was approved by the board on Monday.",
        "Ann did not sign the lease.",
        "It costs 12.50.",
        "The lease was of 2019, and the CNN was reliable.",
        "Penguins do not dance on the moon.",
    ],
)
async def test_what_agrees_with_its_source_or_is_about_something_else_turns_nothing_round(answer):
    assert await faults(answer, REPORT) == []


@pytest.mark.parametrize(("answer", "is_known"), [("It made $29.9m.", True), ("It made $28.9m.", False)])
async def test_the_letter_behind_an_amount_is_no_part_of_the_number(answer, is_known):
    assert (await faults(answer, "A profit of 29.9 million.") == []) is is_known


async def test_where_it_is_asked_most_words_of_a_sentence_are_the_sources():
    answer = "The weather improved because penguins danced all night."
    assert await faults(answer) == []
    assert "of the words of" in (await faults(answer, least_covered=0.7))[0]


async def test_an_answer_is_turned_down_as_it_is_asked():
    item = GuardItem(stage=Stage.MODEL_OUTPUT, value={"answer": "It cost 99."}, state={"passages": []})
    ((path, verdict),) = await Grounding(action="block").check(item)
    assert (path, verdict.action) == ("answer", Action.BLOCK)
