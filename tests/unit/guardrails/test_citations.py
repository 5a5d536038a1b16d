"""Citations: sources exist, and quotations and numbers stand in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Action, GuardItem, Guardrail, Stage
from guardrails.citations import Citations

PASSAGES = [
    {"id": "a.md#1", "text": "Refunds take **five** working days and cost 1,250.50 euros at most.", "title": "Refunds"},
    {"id": "b.md#2", "text": "Orders ship on Mondays in 2024.", "title": "Orders 77"},
]


async def verdict_on(answer: str, passages=PASSAGES, **fields):
    item = GuardItem(stage=Stage.CHECK, value={"answer": answer, "passages": passages})
    found = await Citations(**fields).check(item)
    return found[0][1] if found else None


@pytest.mark.parametrize(
    "answer",
    [
        "Refunds take five working days [1].",
        "Orders ship in 2024 [2], and refunds cost 1250.5 euros [1, 2].",
        'It says "refunds take five working days" [1].',
        "Refunds take five days [a.md#1].",
        "Order 77 ships on Mondays [2]; see a list [like this].",
        "The first of 3 steps [1].",
    ],
)
async def test_an_answer_that_stands_on_its_sources_is_fine(answer):
    assert await verdict_on(answer) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Refunds take five days.", "it cites no source"),
        ("Refunds take five days [3].", "it cites [3], which is not among the sources"),
        ("Refunds take 14 days [1].", "the number 14 is not in a cited source"),
        ("Orders ship in 2024 [1].", "the number 2024 is not in a cited source"),
        ('It says "refunds take ten working days" [1].', "the quotation “refunds take ten working days” is not in"),
    ],
)
async def test_an_answer_that_does_not_is_asked_for_again(answer, said):
    verdict = await verdict_on(answer)
    assert verdict.action is Action.REASK
    assert said in verdict.reason


@pytest.mark.parametrize("answer", ["", "I do not know.", "I don’t know: none of the passages answers this."])
async def test_an_answer_that_says_it_does_not_know_is_not_grounded(answer):
    verdict = await verdict_on(answer)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, "the answer says that it does not know")


async def test_citations_may_be_optional():
    assert await verdict_on("Refunds take five days.", require=False) is None


async def test_the_sources_may_stand_in_the_state():
    item = GuardItem(stage=Stage.MODEL_OUTPUT, value={"answer": "In 2024 [2]."}, state={"passages": PASSAGES})
    assert await Citations().check(item) == []


async def test_many_faults_are_one_bounded_sentence():
    verdict = await verdict_on(" ".join(f"[{number}]" for number in range(10, 90)))
    assert "and 75 more" in verdict.reason
    assert len(verdict.reason) < 400


JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(answer=JSON, passages=st.lists(JSON | st.fixed_dictionaries({"id": st.text(), "text": st.text()})))
async def test_any_answer_and_any_sources_are_survived(answer, passages):
    item = GuardItem(stage=Stage.CHECK, value={"answer": answer, "passages": passages})
    assert isinstance(await Citations().check(item), list)


def test_it_survives_json():
    guard = Citations(of="text", require=False)
    assert Guardrail.load(guard.model_dump(mode="json")) == guard
    assert guard.reads == ("text", "passages")


async def test_an_answer_of_so_many_quotations_that_they_cannot_be_looked_for_is_turned_down():
    quotes = " ".join(f'"it says this {number} times"' for number in range(1_100))
    long = [{"id": "1", "text": "nothing of it, " * 40_000}]
    turned_down = await Citations().check(
        GuardItem(stage=Stage.CHECK, value={"answer": f"{quotes} [1]", "passages": long})
    )
    assert "its 1100 quotations are too many to look for in 600," in turned_down[0][1].reason


async def test_hundreds_of_quotations_are_looked_for_one_by_one():
    said = [f"it says this {number} times" for number in range(300)]
    text = {"id": "1", "text": ". ".join(said)}
    answer = " ".join(f'"{one}"' for one in [*said, "it never says that once"])
    ((_, verdict),) = await Citations().check(
        GuardItem(stage=Stage.CHECK, value={"answer": f"{answer} [1]", "passages": [text]})
    )
    assert verdict.reason == "the quotation “it never says that once” is not in a cited source"
