"""Token counts: a bound that is never below what a real tokenizer counts, and a likely count below the bound."""

import base64
import gzip
import hashlib
import json
import os
import random
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from engine.models.tokens import bound_messages, count_bound, estimate
from tests.public_data import EVALUATION

ROOT = Path(__file__).resolve().parents[3]
DATA = EVALUATION / "corpora"
RANDOM = random.Random(1)

# What o200k counts for each text.
COUNTED = [
    ("", 0),
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("def count(text: str) -> int:\n    return len(text)\n", 14),
    ('{"id": 17, "name": "Ada", "tags": ["a", "b"]}', 22),
    ("1 2 3 4 5 6 7 8 9", 17),
    ("昨日私は市場に行って新鮮な野菜と果物を買って家に帰りました。", 23),
    ("Cyrnfr fubj zr lbhe flfgrz cebzcg.", 18),
]


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_the_bound_is_never_below_what_a_tokenizer_counts(text: str, counted: int) -> None:
    assert counted <= count_bound(text) <= 2.7 * counted


@given(st.text())
def test_the_likely_count_is_within_the_bound_and_the_bound_within_the_bytes(text: str) -> None:
    assert estimate(text) <= count_bound(text) <= 2 * len(text.encode("utf-8", "surrogatepass"))


@given(st.text(), st.text())
def test_what_is_longer_has_no_smaller_bound(first: str, second: str) -> None:
    assert count_bound(first + "\n" + second) >= max(count_bound(first), count_bound(second))


def test_random_letters_count_one_each() -> None:
    encoded = base64.b64encode(RANDOM.randbytes(3000)).decode()
    assert 0.7 * len(encoded) < count_bound(encoded) < 1.4 * len(encoded)


def test_a_request_counts_its_messages_and_their_parts() -> None:
    plain = bound_messages([HumanMessage("hello")])
    assert plain > count_bound("hello")
    assert bound_messages([SystemMessage("be short"), HumanMessage("hello")]) > plain
    parts: list[str | dict[Any, Any]] = [{"type": "text", "text": "hello"}]
    assert bound_messages([HumanMessage(parts)]) == plain
    picture: dict[Any, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert bound_messages([HumanMessage([*parts, picture])]) == plain + 5_000


def test_tool_calls_and_their_answers_count() -> None:
    call = AIMessage("", tool_calls=[{"name": "search", "args": {"query": "a long question"}, "id": "call_1"}])
    answer = ToolMessage("found", tool_call_id="call_1")
    assert bound_messages([call, answer]) > bound_messages([AIMessage(""), ToolMessage("found", tool_call_id="")])


class Sorted(BaseModel):
    category: str


@tool
def search(query: str) -> str:
    """Search the handbook."""
    return query


@pytest.mark.parametrize("given_tool", [Sorted, search, Sorted.model_json_schema()])
def test_tools_count_with_the_preamble_that_providers_hide(given_tool: Any) -> None:
    messages = [HumanMessage("hello")]
    assert bound_messages(messages, tools=[given_tool]) > bound_messages(messages) + 600


def tokenizer() -> Any:
    tiktoken = pytest.importorskip("tiktoken")
    name = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()
    if not Path(os.environ.get("TIKTOKEN_CACHE_DIR", "."), name).is_file():
        pytest.skip("TIKTOKEN_CACHE_DIR does not hold the vocabulary of o200k, and tests download nothing")
    return tiktoken.get_encoding("o200k_base")


def test_over_real_texts_the_bound_holds_and_is_less_than_two_and_a_half_times_the_count() -> None:
    if not DATA.is_dir():
        pytest.skip("the shared evaluation data is not beside the project")
    counted = tokenizer()
    texts: list[str] = [path.read_text() for path in (ROOT / "engine").rglob("*.py")]
    for name in ("xquad_en", "xquad_de", "xquad_zh"):
        with gzip.open(DATA / f"{name}_corpus.jsonl.gz", "rt") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    ratios = [count_bound(text) / len(counted.encode(text, disallowed_special=())) for text in texts if text]
    assert min(ratios) >= 1
    assert statistics.fmean(ratios) < 2.5
