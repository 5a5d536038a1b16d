"""Paths as they are written: whether one stays beneath a folder, without a look at the disk."""

import posixpath
from collections.abc import Iterable


def is_beneath(path: str, roots: Iterable[str]) -> bool:
    """Say whether a path stays beneath one of the folders; a relative one is taken from each of them.

    It is about the text: whatever a symbolic link leads to, it cannot see. Paths with a backslash, `~` at the start, a
    percent sign or a control character are beneath nothing, since those who open them differ in what they make of it.
    """
    if not path or path.startswith("~") or any(one in "\\%" or not one.isprintable() for one in path):
        return False
    return any(_stays(path, posixpath.normpath(root)) for root in roots)


def _stays(path: str, root: str) -> bool:
    whole = posixpath.normpath(posixpath.join(root, path))
    whole, root = (f"/{one.lstrip('/')}" if one.startswith("/") else one for one in (whole, root))
    return (
        whole == root or (root == "." and not whole.startswith(("/", ".."))) or whole.startswith(f"{root.rstrip('/')}/")
    )
