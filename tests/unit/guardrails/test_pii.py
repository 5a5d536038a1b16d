"""Personal data: found by its form, masked in place, and never repeated in a reason."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Action, GuardItem, Guardrail, Stage, Verdict
from guardrails.pii import Pii
from tests.public_data import GUARDRAILS

DATA = GUARDRAILS
LABELS = {"CREDIT_CARD": "CARD", "EMAIL_ADDRESS": "EMAIL", "IBAN_CODE": "IBAN", "PHONE_NUMBER": "PHONE"}
LEAST_RECALL = {"CARD": 0.94, "IBAN": 0.93, "EMAIL": 0.99, "PHONE": 0.66}
PERSONAL = ("jane@acme.com", "4111 1111 1111 1111", "+44 20 7946 0958", "GB82 WEST 1234 5698 7654 32", "8.8.8.8")
BITS = st.sampled_from([*PERSONAL, " ", "\u200b", "é", "\n"])
MIXED = st.lists(BITS | st.text(st.characters(codec=None), max_size=8), max_size=8).map("".join)


def look(text: str, guard: Guardrail | None = None) -> Verdict:
    return (guard or Pii()).check_text(text, GuardItem(stage=Stage.RUN_OUTPUT, value=text))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jane@acme.com.", "Write to [EMAIL]."),
        ("Card 4111 1111 1111 1111, please", "Card [CARD], please"),
        ("Card 4111-1111-1111-1111", "Card [CARD]"),
        ("Pay to GB82 WEST 1234 5698 7654 32 today", "Pay to [IBAN] today"),
        ("From 8.8.8.8 and 2001:4860:4860::8888", "From [IP] and [IP]"),
        ("Call me on +44 20 7946 0958", "Call me on [PHONE]"),
        ("Write to ｊａｎｅ＠ａｃｍｅ．ｃｏｍ", "Write to [EMAIL]"),
        ("Write to ja\u200bne@ac\u200bme.com", "Write to [EMAIL]"),
    ],
)
def test_personal_data_is_masked_where_it_stands(text: str, masked: str) -> None:
    assert look(text).applied_to(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order 4111 1111 1111 1112 has no check digit that agrees",
        "Released on 2024-05-30 10:20 and 30.05.2024",
        "Version 1.24.3 of the library",
        "An invoice over 1.250.000 or 1 000 000",
        "ISBN-like 12345678901234",
        "@decorator and a.b@c",
    ],
)
def test_what_only_looks_alike_passes(text: str) -> None:
    assert look(text).action is Action.ALLOW


def test_a_reason_counts_and_never_quotes() -> None:
    verdict = look("jane@acme.com, joe@acme.com and 4111 1111 1111 1111")
    assert "2 e-mail addresses" in verdict.reason
    assert "1 card" in verdict.reason
    assert "jane" not in verdict.reason
    assert "4111" not in verdict.reason


def test_only_the_kinds_asked_for_are_found() -> None:
    assert {span.label for span in look("jane@acme.com, 8.8.8.8", Pii(kinds=("ip",))).spans} == {"IP"}


def test_an_address_of_our_own_may_stay() -> None:
    assert look("Write to Help@Acme.com", Pii(allow=("help@acme.com",))).action is Action.ALLOW


def test_what_is_done_can_be_chosen() -> None:
    assert look("jane@acme.com", Pii(action=Action.BLOCK)).action is Action.BLOCK


@given(MIXED)
def test_any_text_survives_and_its_spans_lie_in_it_apart(text: str) -> None:
    end = 0
    for span in sorted(look(text).spans, key=lambda span: span.start):
        assert end <= span.start < span.end <= len(text)
        end = span.end


@given(st.lists(st.sampled_from(PERSONAL), max_size=6), st.sampled_from([" and ", "; also ", "\nthen "]))
def test_masking_leaves_nothing_to_find(personal: list[str], between: str) -> None:
    masked = look(between.join(personal)).applied_to(between.join(personal))
    assert look(masked).spans == ()
    assert masked.count("[") == len(personal)


@pytest.mark.parametrize(
    "guard", [Pii(), Pii(action=Action.REDACT, kinds=("card",), regions=("DE",), allow=("a@b.de",))]
)
def test_it_survives_json(guard: Pii) -> None:
    assert Guardrail.load(json.loads(json.dumps(guard.model_dump(mode="json")))) == guard


def test_a_long_text_is_read_through() -> None:
    text = "nothing to see, 12 34 56 78 and 2024-05-30. " * 20_000 + "jane@acme.com"
    assert look(text).spans[-1].label == "EMAIL"


def rows_of(name: str) -> list[dict[str, Any]]:
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"there is no public data in {DATA}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_public_data_is_found_as_often_as_promised() -> None:
    hits, marked = dict.fromkeys(LEAST_RECALL, 0), dict.fromkeys(LEAST_RECALL, 0)
    for row in rows_of("pii"):
        spans = look(row["text"]).spans
        for span in row["spans"]:
            label = LABELS.get(span["type"])
            if label is not None:
                marked[label] += 1
                hits[label] += any(
                    hit.label == label and hit.start < span["end"] and span["start"] < hit.end for hit in spans
                )
    missing = {
        label: hits[label] / marked[label] for label in hits if hits[label] < LEAST_RECALL[label] * marked[label]
    }
    assert not missing


def test_technical_documents_seldom_raise_an_alarm() -> None:
    documents = [row for row in rows_of("injection_indirect") if row["source"].startswith("repo-docs:")]
    alarms = sum(not look(row["text"]).allows for row in documents)
    assert alarms <= 0.06 * len(documents)
