"""Payloads: any JSON value survives, and what is long is stored once."""

from hypothesis import given
from hypothesis import strategies as st

from engine.payloads import canonical, pack, references_in, unpack

TEXTS = st.text(max_size=20) | st.sampled_from(["long " * 200, "other " * 300, "$payload", "$literal"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.map(lambda text: text[:20]), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_value_survives(value):
    sha256, payloads = pack(value)
    contents = {payload.sha256: payload.content for payload in payloads}
    assert unpack(sha256, contents.__getitem__) == value
    assert references_in(contents[sha256]) <= contents.keys()


def test_what_is_long_is_stored_once():
    text = "word " * 200
    _, payloads = pack([text, {"again": text}])
    assert len({payload.sha256 for payload in payloads}) == 2


def test_the_same_value_has_the_same_address_however_it_is_ordered():
    assert pack({"a": 1, "b": 2})[0] == pack({"b": 2, "a": 1})[0]
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
