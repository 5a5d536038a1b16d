"""Payloads: any JSON value survives, and what is long is stored once."""

from hypothesis import given
from hypothesis import strategies as st

from engine.payloads import Packer, Shared, canonical, pack, references_in, unpack

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


ITEMS = JSON | st.integers(0, 99).map(lambda number: {"role": "human", "content": f"{number} " * (number + 9)})


@given(st.lists(st.lists(ITEMS, max_size=12), max_size=2), st.integers(0, 12))
def test_lists_that_share_what_they_hold_survive(lists, dropped):
    packer, contents = Packer(), dict[str, str]()
    for items in [one for many in lists for one in (many, many[dropped:])]:
        sha256, payloads = packer.pack({"messages": Shared(items)})
        for payload in payloads:
            assert references_in(payload.content) <= contents.keys()  # what a value refers to is given first
            contents[payload.sha256] = payload.content
        assert unpack(sha256, contents.__getitem__) == {"messages": items}


def test_a_window_that_moves_over_a_long_talk_writes_little_beside_what_is_new():
    talk = [{"role": "human", "content": f"{number} " * 100} for number in range(600)]
    written: list[int] = []
    known: set[str] = set()
    for end in range(400, 600):
        fresh = {one.sha256: len(one.content) for one in pack({"messages": Shared(talk[end - 400 : end])})[1]}
        written.append(sum(size for sha256, size in fresh.items() if sha256 not in known))
        known |= fresh.keys()
    assert sum(written[1:]) / len(written[1:]) < 400 + 8_000  # a message, and not the addresses of four hundred


def test_what_is_long_is_stored_once():
    text = "word " * 200
    _, payloads = pack([text, {"again": text}])
    assert len({payload.sha256 for payload in payloads}) == 2


def test_the_same_value_has_the_same_address_however_it_is_ordered():
    assert pack({"a": 1, "b": 2})[0] == pack({"b": 2, "a": 1})[0]
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
