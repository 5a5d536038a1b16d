"""The retriever of this project's deployments: collections in one index file, this project's own docs among them."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import re2

from engine import InputError, Retrieved, StoreError
from tools.documents.document import Refreshed
from tools.documents.index import DocumentIndex

DOCS = "docs"
"""The collection that holds this project's own documentation, unless an operator indexed another folder as it."""

_DEFAULT_FILE = Path(".flowledger", "documents.db")
_OWN_FOLDER = "(this project's documentation)"
_COLLECTION = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_refreshed: set[Path] = set()
_refreshing = Lock()


async def search_documents(query: str, *, top_k: int = 6, collection: str = "docs") -> Retrieved:
    """Find the passages of an indexed collection that fit a question best.

    The collection `docs` is this project's own documentation and is indexed on first use; every other collection is
    one that an operator indexed with `flowledger index FOLDER --name NAME`.

    Args:
        query: the question, in plain words.
        top_k: how many passages at the most, 1 to 1000.
        collection: the collection to search.

    Returns:
        Passages, best first, and the version of what was searched.

    Raises:
        ToolFailed: the collection was never indexed, or `top_k` is out of range.
        InputError: the project's own documentation is not there.
        StoreError: the index file cannot be used.
    """
    return await asyncio.to_thread(_search, query, top_k, collection)


def index_version(collection: str) -> str:
    """Name the content that `search_documents` would go over, for `Cache(version=index_version)`."""
    return ready_index(collection).version_of(collection)


def index_folder(
    folder: Path, collection: str, *, on_progress: Callable[[int, int, str], None] | None = None
) -> Refreshed:
    """Build or refresh a collection from the documents in a folder; only what has changed is read.

    Args:
        folder: Markdown, text, reStructuredText, HTML and PDF below it are indexed.
        collection: the collection's name.
        on_progress: is told (done, total, document) after each document.

    Returns:
        Counts of documents and passages, and what was left out and why.

    Raises:
        InputError: the name cannot be used, there is no such folder, or no document in it can be read.
        ConfigurationError: the SQLite of this Python has no FTS5.
        StoreError: the index file cannot be written.
    """
    if not _COLLECTION.fullmatch(collection):
        raise InputError(
            f"A collection cannot be called {collection!r}: use up to 64 letters, digits, dots, dashes and underscores."
        )
    return current_index().refresh(folder, collection, on_progress=on_progress)


def current_index() -> DocumentIndex:
    """Give the index in the file that FLOWLEDGER_INDEX names, else in `.flowledger/documents.db` here."""
    return DocumentIndex(Path(os.environ.get("FLOWLEDGER_INDEX") or _DEFAULT_FILE).absolute())


def ready_index(collection: str) -> DocumentIndex:
    """Give the index once the collection can be searched: the project's own docs are refreshed once a process."""
    index = current_index()
    if collection == DOCS:
        with _refreshing:
            if index.path not in _refreshed or not index.path.is_file():
                refresh_own_docs(index, own_docs())
                _refreshed.add(index.path)
    return index


def own_docs() -> Path:
    """Find this project's documentation: beside this module when installed, else at the root of the repository."""
    installed = Path(__file__).with_name("docs")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs"


def refresh_own_docs(index: DocumentIndex, folder: Path) -> None:
    """Index this project's documentation, unless an operator indexed a folder of theirs under its name.

    Raises:
        InputError: the folder is missing or empty, and nothing was indexed before.
        StoreError: the index file cannot be written, and nothing was indexed before.
    """
    stored = index.folder_of(DOCS)
    if stored not in (None, _OWN_FOLDER):
        return
    try:
        index.refresh(folder, DOCS, named=_OWN_FOLDER)
    except (InputError, StoreError):
        # A deployment may ship the index alone, or mount it read-only: what it holds is then searched.
        if stored is None:
            raise


def _search(query: str, top_k: int, collection: str) -> Retrieved:
    return ready_index(collection).search(query, top_k=top_k, collection=collection)
