"""Reading: what a folder's files say, and why some are left out."""

import os
import sys
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfWriter

from engine import InputError
from tools.documents.document import Text, Unreadable
from tools.documents.html_text import html_text
from tools.documents.markup import markdown_text, plain_text, rst_text
from tools.documents.read import MAX_BYTES, read_document, sources_in


def headings(text: Text) -> list[tuple[int, str]]:
    return [(line.level, line.heading) for line in text.lines if line.role == "heading"]


def names(folder: Path) -> list[str]:
    return [source.path for source in sources_in(folder)]


def reason(folder: Path, name: str) -> str:
    source = next(source for source in sources_in(folder) if source.path == name)
    with pytest.raises(Unreadable) as caught:
        source.fetch(None)
    return str(caught.value)


def one_page_pdf(words: str, title: str = "") -> bytes:
    """Write the smallest PDF that shows these words."""
    stream = f"BT /F1 12 Tf 72 720 Td ({words}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>".encode(),
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 7\n0000000000 65535 f \n" + entries + trailer


def test_markdown_headings_are_found_and_those_in_code_are_not() -> None:
    text = markdown_text("# Guide\n\n```sh\n# a comment\n```\n\nSetup\n-----\n\n## Closed ##\n#hashtag\n")
    assert headings(text) == [(1, "Guide"), (2, "Setup"), (2, "Closed")]


def test_a_fence_ends_only_at_one_as_long() -> None:
    text = markdown_text("````\n```\n# still code\n```\n````\n# Out\n")
    assert headings(text) == [(1, "Out")]


def test_front_matter_names_the_title_and_is_no_heading() -> None:
    text = markdown_text('---\ntitle: "Refunds"\n# remark\n---\nWe pay back.\n')
    assert (text.title, headings(text)) == ("Refunds", [])


def test_a_rule_after_a_list_or_a_lone_rule_makes_no_heading() -> None:
    assert headings(markdown_text("- item\n---\n\n---\n\nparagraph of\ntwo lines\n---\n")) == []


def test_rst_styles_get_their_depth_in_the_order_they_come_up() -> None:
    text = rst_text("=====\nGuide\n=====\n\nSetup\n-----\n\nOne\n~~~\n\nUse\n---\n\nThe words\nbefore\n------\n")
    assert headings(text) == [(1, "Guide"), (2, "Setup"), (3, "One"), (2, "Use")]


def test_html_is_read_as_a_person_would() -> None:
    text = html_text(
        "<html><head><title>The  Shop</title><style>p{}</style></head><body><h1>Refunds &amp; returns</h1>"
        "<script>alert('x')</script><p>One<br>two <b>bold</b>.</p><ul><li>first<li>second</ul>"
        "<pre>a = 1\n  b</pre><table><tr><td>x</td><td>y</td></tr></table></body></html>"
    )
    said = [line.text for line in text.lines if line.text]
    assert said == ["Refunds & returns", "One", "two bold.", "- first", "- second", "a = 1", "  b", "x y"]
    assert (text.title, headings(text)) == ("The Shop", [(1, "Refunds & returns")])
    assert [line.text for line in text.lines if line.role == "code"] == ["a = 1", "  b"]


def test_a_hostile_page_is_read_in_no_time() -> None:
    assert html_text("<!--" * 200_000 + "<p>" * 1000).lines is not None


def test_plain_text_has_no_headings_and_keeps_its_line_numbers() -> None:
    text = plain_text("# one\r\ntwo\x0cmore\rthree")
    assert [(line.number, line.text) for line in text.lines] == [(1, "# one"), (2, "two\x0cmore"), (3, "three")]


def test_a_pdf_is_read_page_by_page() -> None:
    document = read_document("terms.pdf", one_page_pdf("Refunds take ten days", "Terms"))
    assert (document.title, document.unit) == ("Terms", "page")
    assert [(piece.text, piece.start) for piece in document.pieces] == [("Refunds take ten days", 1)]


def test_a_pdf_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(Unreadable, match=r"install flowledger\[pdf\]"):
        read_document("terms.pdf", one_page_pdf("x"))


def test_an_encrypted_pdf_is_left_out() -> None:
    writer = PdfWriter(BytesIO(one_page_pdf("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    data = BytesIO()
    writer.write(data)
    with pytest.raises(Unreadable, match="it is encrypted"):
        read_document("terms.pdf", data.getvalue())


def test_a_damaged_pdf_is_left_out() -> None:
    with pytest.raises(Unreadable, match="not a PDF that can be read"):
        read_document("terms.pdf", b"%PDF-1.4 and nothing more")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.md", b"\xff\xfa\x00", "not UTF-8"),
        ("a.txt", b"one\0two", "binary"),
        ("a.md", b" \n\n", "no text"),
        ("a.png", b"x", r"\.png is not a kind"),
        ("LICENSE", b"x", "no suffix is not a kind"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_the_reason(name: str, data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_document(name, data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    assert read_document("a.md", "# Grüße\n".encode(encoding)).title == "Grüße"


def test_a_document_without_headings_is_called_as_its_file() -> None:
    assert read_document("shop/refund-policy.txt", b"We pay back.").title == "refund-policy"


def test_hidden_and_foreign_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.md", "a/c.md", ".git/x.md", ".venv/x.md", "node_modules/x.md", ".hidden.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    assert names(tmp_path) == ["a/c.md", "b.md"]


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(outside / "secret.md")
    (folder / "sub").symlink_to(outside)
    (folder / "broken.md").symlink_to(folder / "nowhere.md")
    assert names(folder) == ["broken.md", "link.md"]
    assert "leaves the folder" in reason(folder, "link.md")
    assert "cannot be opened" in reason(folder, "broken.md")


def test_what_is_too_large_or_no_file_is_left_out(tmp_path: Path) -> None:
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(tmp_path / "pipe.txt")
    assert "larger than 20 MB" in reason(tmp_path, "large.txt")
    assert "not a file" in reason(tmp_path, "pipe.txt")


def test_a_file_whose_name_is_not_text_is_left_out(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.md")).write_text("text")
    assert reason(tmp_path, "caf?.md") == "its name is not text"


def test_a_folder_that_is_not_there_is_a_fault_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        names(tmp_path / "nowhere")
