"""The witness: lines that outlive who wrote them, and one that was cut says nothing."""

from engine.chaos.witness import Seen, Witness


def seen(**fields) -> Seen:
    given = {"what": "sent", "run": "r", "step": "s", "node": "n", "call": "c", "ordinal": 1, "request": "h"}
    return Seen(**(given | {"operation": "chat"} | fields))


def test_what_was_written_is_read_in_order(tmp_path):
    witness = Witness(tmp_path / "witness.jsonl")
    assert witness.read() == []
    lines = [seen(), seen(what="answered", tokens=3, answer={"ticket": "é\n"})]
    for line in lines:
        witness.note(line)
    assert Witness(witness.path).read() == lines


def test_a_line_that_was_cut_short_is_passed_over_and_the_next_is_not(tmp_path):
    witness = Witness(tmp_path / "witness.jsonl")
    witness.note(seen(call="first"))
    with witness.path.open("ab") as file:
        file.write(b'\n{"what": "answered", "run": "\xc3')
    witness.note(seen(call="second"))
    assert [one.call for one in witness.read()] == ["first", "second"]
