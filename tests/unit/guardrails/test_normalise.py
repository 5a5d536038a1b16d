"""Folding: disguises fall off, and every place leads back to the original."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.normalise import fold

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


@pytest.mark.parametrize(
    ("written", "reads"),
    [
        ("Ｉｇｎｏｒｅ", "ignore"),
        ("ig\u200bno\u2060re", "ignore"),
        ("\u202eignore\u202c", "ignore"),
        ("рrеviоus", "previous"),
        ("ﬁne", "fine"),
        ("a \t\n b", "a b"),
        ("ignore\U000e0041", "ignore"),
    ],
)
def test_a_disguised_word_reads_as_what_it_looks_like(written: str, reads: str) -> None:
    assert fold(written).text == reads


def test_a_place_in_folded_text_leads_back_to_the_original() -> None:
    original = "see  \u200bｉｇ\u200bｎｏｒｅ  this"
    folded = fold(original)
    at = folded.text.index("ignore")
    start, end = folded.span(at, at + len("ignore"))
    assert fold(original[start:end]).text.strip() == "ignore"


@given(ANY_TEXT)
def test_any_text_folds_to_one_that_can_be_encoded(text: str) -> None:
    fold(text).text.encode("utf-8")


@given(ANY_TEXT, st.data())
def test_every_span_lies_in_the_original(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded.text)))
    end = data.draw(st.integers(start, len(folded.text)))
    first, last = folded.span(start, end)
    assert 0 <= first <= last <= len(text)
    assert (first < last) or start == end


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_keeps_its_words(text: str) -> None:
    printable = "".join(character for character in text if character.isprintable() or character in " \n\t")
    assert fold(printable).text.split() == printable.lower().split()


@given(ANY_TEXT, st.booleans())
def test_every_character_of_the_folded_text_leads_back_to_the_one_it_came_of(text: str, one_line: bool) -> None:
    folded = fold(text, one_line=one_line)
    places = [folded.offset(at) for at in range(len(folded.text))]
    assert places == sorted(places)
    for at, place in enumerate(places):
        assert folded.text[at] in (
            fold(text[place], one_line=False).text.replace("\n", " ")
            if one_line
            else fold(text[place], one_line=False).text
        )
