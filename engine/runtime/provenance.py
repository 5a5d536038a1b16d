"""Which code is running: the engine's version and the commit of the project around it."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@lru_cache(maxsize=1)
def engine_version() -> str:
    """Give the installed version of the engine."""
    try:
        return version("flowledger")
    except PackageNotFoundError:
        return "0+unknown"


@lru_cache(maxsize=8)
def git_commit(folder: Path | None = None) -> str | None:
    """Give the commit that is checked out around a folder (the current one), read without asking git."""
    here = (folder or Path.cwd()).resolve()
    for candidate in (here, *here.parents):
        if (head := candidate / ".git" / "HEAD").is_file():
            return _resolve(candidate / ".git", head.read_text(encoding="utf-8").strip())
    return None


def _resolve(git: Path, head: str) -> str | None:
    if not head.startswith("ref: "):
        return head or None
    name = head.removeprefix("ref: ")
    if (loose := git / name).is_file():
        return loose.read_text(encoding="utf-8").strip()
    packed = git / "packed-refs"
    for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
        if line.endswith(f" {name}"):
            return line.partition(" ")[0]
    return None
