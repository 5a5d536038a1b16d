"""PDF becomes lines, page by page; the reader of PDF is an extra."""

import unicodedata
from io import BytesIO

from tools.documents.document import Line, Text, Unreadable


def pdf_text(data: bytes) -> Text:
    """Read the text layer of a PDF; positions count pages.

    Raises:
        Unreadable: the extra is not installed, or the file is encrypted or damaged.
    """
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise Unreadable("to read PDF, install flowledger[pdf]") from error
    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is encrypted")
        title = reader.metadata.title if reader.metadata else None
        pages = [page.extract_text() for page in reader.pages]
    except Unreadable:
        raise
    except Exception as error:  # a damaged PDF may raise anything
        raise Unreadable(f"it is not a PDF that can be read ({type(error).__name__})") from error
    # Ligatures and full-width letters are how a PDF draws words, not what they are.
    lines = [
        Line(number, unicodedata.normalize("NFKC", line))
        for number, page in enumerate(pages, start=1)
        for line in (*page.split("\n"), "")
    ]
    return Text(lines, " ".join((title or "").split()), "page")
