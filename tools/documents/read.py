"""A folder becomes sources, a file becomes a document; what cannot be read is left out with a reason."""

import codecs
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from engine import InputError
from tools.documents.chunk import cut
from tools.documents.document import Document, Source, Text, Unreadable
from tools.documents.html_text import html_text
from tools.documents.markup import markdown_text, plain_text, rst_text
from tools.documents.pdf_text import pdf_text

MAX_BYTES = 20_000_000
"""A larger file is left out."""

_TEXT_READERS: dict[str, Callable[[str], Text]] = {
    ".md": markdown_text,
    ".markdown": markdown_text,
    ".txt": plain_text,
    ".text": plain_text,
    ".rst": rst_text,
    ".html": html_text,
    ".htm": html_text,
    ".xhtml": html_text,
}
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv"})
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def sources_in(folder: Path, on_progress: Callable[[int, int, str], None] | None = None) -> Iterator[Source]:
    """Give the files of a folder and its subfolders, sorted by path.

    Hidden files and folders, `node_modules`, `venv` and `__pycache__` are passed over; links that leave the folder are
    not followed.

    Raises:
        InputError: there is no such folder.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise InputError(f"There is no folder {str(folder)!r} to index.")
    paths = sorted(_files(root), key=lambda path: path.relative_to(root).as_posix())
    for done, path in enumerate(paths, start=1):
        name = path.relative_to(root).as_posix()
        yield Source(name.encode(errors="replace").decode(), _fetcher(root, path, name))
        if on_progress:
            on_progress(done, len(paths), name)


def read_document(name: str, data: bytes) -> Document:
    """Read and cut a document.

    Args:
        name: its path within the folder; the suffix says what it is.
        data: its bytes.

    Raises:
        Unreadable: it is not a kind of document that can be read, or says nothing.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        text = pdf_text(data)
    elif suffix in _TEXT_READERS:
        text = _TEXT_READERS[suffix](_decoded(data))
    else:
        raise Unreadable(f"{suffix or 'no suffix'} is not a kind of document that is read")
    pieces = cut(text.lines)
    if not pieces:
        raise Unreadable("it holds no text")
    title = text.title or next((line.heading for line in text.lines if line.heading), path.stem)
    return Document(name, hashlib.sha256(data).hexdigest(), title, pieces, text.unit)


def _files(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in _PASSED_OVER]
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _fetcher(root: Path, path: Path, name: str) -> Callable[[str | None], Document | None]:
    def fetch(known: str | None) -> Document | None:
        data = _bytes_of(root, path)
        if known is not None and hashlib.sha256(data).hexdigest() == known:
            return None
        return read_document(name, data)

    return fetch


def _bytes_of(root: Path, path: Path) -> bytes:
    try:
        str(path).encode()
        real = path.resolve(strict=True)
        if not real.is_relative_to(root):
            raise Unreadable("it is a link that leaves the folder")
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is not a file")
        if status.st_size > MAX_BYTES:
            raise Unreadable(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        return real.read_bytes()
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror or error})") from error
    except UnicodeEncodeError as error:
        raise Unreadable("its name is not text") from error


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error
    if "\0" in text:
        raise Unreadable("it is binary")
    return text
