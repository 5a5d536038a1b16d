"""Inputs that say the same in nearly the same words count as one, and no others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evals.alike import Alike, _pairs_in

LONG = "How long does it take until the money for an order that was sent back is on my account again"


def found(text, other, expect=None, said=None, at_least=0.8):
    alike = Alike(at_least)
    alike.add("a", {"question": text}, expect)
    return alike.find({"question": other}, said) is not None


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        (LONG, LONG.upper() + "?", True),
        (LONG, LONG.replace("money", "cash"), True),
        (LONG, "What is a run?", False),
        ("dog bites man", "man bites dog", False),
        (f"{LONG}, order 17", f"{LONG}, order 18", False),
    ],
)
def test_nearly_the_same_words_in_the_same_order_with_the_same_numbers(text, other, same):
    assert found(text, other) is same


def test_what_expects_something_else_is_another_case():
    assert not found(LONG, LONG, {"answer": "five days"}, {"answer": "ten days"})
    assert found(LONG, LONG, {"answer": "five days"}, {"answer": "five days"})


WORDS = st.lists(st.sampled_from("the refund of order takes five long days until money arrives".split()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6), WORDS, st.sampled_from([0.5, 0.8, 1.0]))
def test_no_pair_that_is_alike_enough_is_missed(texts, text, at_least):
    alike = Alike(at_least)
    for number, words in enumerate(texts):
        alike.add(str(number), {"q": " ".join(words)}, None)
    pairs = _pairs_in({"q": " ".join(text)})
    every = [_pairs_in({"q": " ".join(words)}) for words in texts]
    alikes = [str(at) for at, other in enumerate(every) if len(pairs & other) >= at_least * len(pairs | other)]
    assert alike.find({"q": " ".join(text)}, None) == (alikes[0] if alikes else None)
