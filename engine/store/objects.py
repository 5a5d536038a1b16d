"""Contents of payloads in object storage: a file each, named by the hash of what it holds, in a folder of fsspec.

The row of such a payload says `object` for its encoding, and names the folder in place of the content. Who may read and
write there is for fsspec to know, from the environment: an address with a password in it is refused.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from engine.errors import ConfigurationError, StoreError

OBJECT = "object"
"""The encoding of a payload whose content is in object storage."""


def folder_of(text: str) -> str:
    """Give the address of a folder as rows name it.

    Raises:
        ConfigurationError: it holds a password or a query, which would stand in the ledger.
    """
    parts = urlsplit(text)
    if parts.password or parts.query or not text.strip("/"):
        raise ConfigurationError(
            f"this {parts.scheme or 'name'} is no folder for payloads: name one like s3://bucket/ledger or "
            "/srv/ledger, without a password or a query; fsspec takes credentials from the environment"
        )
    return text.rstrip("/") if "://" in text else str(Path(text).absolute())


def write(folder: str, contents: Mapping[str, bytes]) -> None:
    """Write contents by their addresses; what is there already is written again.

    Raises:
        ConfigurationError: fsspec does not know how to reach such a folder.
        StoreError: it cannot be written.
    """
    system, root = _opened(folder)
    try:
        system.pipe({f"{root}/{address}": zlib.compress(content) for address, content in contents.items()})
    except Exception as error:  # each storage has errors of its own
        raise StoreError(f"{folder} cannot be written: {_said(error)}") from error


def read(folder: str, addresses: Iterable[str]) -> dict[str, bytes]:
    """Give contents by their addresses.

    Raises:
        ConfigurationError: fsspec does not know how to reach such a folder.
        StoreError: one is not there, cannot be read, or is not what was written.
    """
    system, root = _opened(folder)
    wanted = {f"{root}/{address}": address for address in addresses}
    try:
        found: Mapping[str, Any] = system.cat(list(wanted), on_error="return")
    except Exception as error:  # as above
        raise StoreError(f"{folder} cannot be read: {_said(error)}") from error
    return {path.rpartition("/")[2]: _content(folder, path.rpartition("/")[2], data) for path, data in found.items()}


def remove(folder: str, addresses: Iterable[str]) -> None:
    """Delete contents; one that is gone already is no error.

    Raises:
        ConfigurationError: fsspec does not know how to reach such a folder.
        StoreError: the storage refused.
    """
    system, root = _opened(folder)
    for address in addresses:
        try:
            system.rm_file(f"{root}/{address}")
        except FileNotFoundError:
            continue
        except Exception as error:  # as above
            raise StoreError(f"{folder} cannot be written: {_said(error)}") from error


def _opened(folder: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # pyright: ignore[reportUnknownVariableType]
        from fsspec.implementations.local import LocalFileSystem
    except ImportError:
        raise ConfigurationError(
            f"payloads of this ledger are in {folder}: install the extra, pip install 'flowledger[objects]'"
        ) from None
    try:
        system, root = cast("Any", url_to_fs)(folder)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"{folder} cannot be reached: {error}") from error
    if isinstance(system, LocalFileSystem):
        system.auto_mkdir = True
    return system, root.rstrip("/")


def _content(folder: str, address: str, data: Any) -> bytes:
    if isinstance(data, FileNotFoundError):
        raise StoreError(f"the payload {address} is not in {folder}: bring the file back from a copy of that folder")
    if isinstance(data, Exception):
        raise StoreError(f"{folder} cannot be read: {_said(data)}") from data
    try:
        content = zlib.decompress(data)
    except zlib.error:
        content = b""
    if hashlib.sha256(content).hexdigest() != address:
        raise StoreError(f"the payload {address} in {folder} is not what was written there: bring it back from a copy")
    return content


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
