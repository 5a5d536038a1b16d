"""Cutting: pieces follow the author's borders and lose nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tools.documents.chunk import FEWEST, MOST, cut
from tools.documents.document import Piece
from tools.documents.markup import markdown_text, plain_text, rst_text

LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "# One", "## Two", "### Three", "```", "---", "=====", "- item", "~~~"]),
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80),
        st.integers(1, 300).map(lambda count: "A sentence of words. " * count),
        st.integers(1, 3000).map(lambda count: "x" * count),
    ),
    max_size=40,
)


def without_blanks(text: str) -> str:
    return "".join(text.split())


def pieces_of(markdown: str) -> list[Piece]:
    return cut(markdown_text(markdown).lines)


@settings(deadline=None)
@given(LINES)
def test_no_word_is_lost_and_none_comes_twice(lines: list[str]) -> None:
    source = "\n".join(lines)
    for read in (markdown_text, rst_text, plain_text):
        pieces = cut(read(source).lines)
        assert without_blanks("".join(piece.text for piece in pieces)) == without_blanks(source)


@settings(deadline=None)
@given(LINES)
def test_pieces_are_never_much_longer_than_they_may_be(lines: list[str]) -> None:
    assert all(len(piece.text) <= MOST + 2 * FEWEST for piece in pieces_of("\n".join(lines)))


@settings(deadline=None)
@given(LINES)
def test_positions_say_where_a_piece_stands(lines: list[str]) -> None:
    source = "\n".join(lines)
    numbered = [line.text for line in markdown_text(source).lines]
    for piece in pieces_of(source):
        assert without_blanks(piece.text) in without_blanks("".join(numbered[piece.start - 1 : piece.end]))


def test_a_piece_carries_the_headings_above_it() -> None:
    pieces = pieces_of("# Shop\n\nHello.\n\n## Refunds\n\nTen days.\n\n# Other\n\nText.\n")
    assert [(piece.headings, piece.start, piece.end) for piece in pieces] == [
        (("Shop",), 1, 3),
        (("Shop", "Refunds"), 5, 7),
        (("Other",), 9, 11),
    ]
    assert pieces[1].text == "## Refunds\n\nTen days."


def test_headings_with_nothing_between_them_share_a_piece() -> None:
    assert [piece.headings for piece in pieces_of("# Shop\n## Refunds\n### Cards\nTen days.\n# End\n")] == [
        ("Shop", "Refunds", "Cards"),
        ("End",),
    ]


def test_an_overline_goes_with_its_heading() -> None:
    pieces = cut(rst_text("One\n===\n\ntext\n\n=====\nGuide\n=====\n\nmore\n").lines)
    assert [piece.text for piece in pieces] == ["One\n===\n\ntext", "=====\nGuide\n=====\n\nmore"]


def test_paragraphs_stay_whole() -> None:
    paragraphs = [f"{letter} " * 290 for letter in "abcd"]
    assert [piece.text for piece in pieces_of("\n\n".join(paragraphs))] == [
        f"{paragraphs[0]}\n\n{paragraphs[1]}".rstrip(),
        f"{paragraphs[2]}\n\n{paragraphs[3]}".rstrip(),
    ]


def test_a_code_block_that_fits_is_not_torn_apart() -> None:
    code = "```python\n" + "value = compute()\n\n" * 55 + "```"
    pieces = pieces_of(f"# Title\n\n{'Words before. ' * 40}\n\n{code}\n\nafter\n")
    assert any(code in piece.text for piece in pieces)


def test_a_long_line_is_cut_behind_a_sentence() -> None:
    first, *rest = pieces_of("This is a sentence of some length. " * 80)
    assert first.text.endswith("length.")
    assert all(piece.text.startswith("This is") for piece in rest)
    assert 900 <= len(first.text) <= MOST


def test_a_short_rest_joins_the_piece_before() -> None:
    pieces = pieces_of("a b " * 290 + "\n\n" + "the end")
    assert [piece.text[-7:] for piece in pieces] == ["the end"]
