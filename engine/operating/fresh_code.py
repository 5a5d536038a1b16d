"""Notices that the code of a project has changed, by looking at its files now and then."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

_LOOK_SECONDS = 0.5
_SUFFIXES = frozenset({".py", ".md", ".json", ".jsonl", ".toml", ".yaml", ".yml", ".env"})
_ELSEWHERE = frozenset({"__pycache__", "node_modules", "site-packages"})


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Give when each file of code and prompts was changed last, and its size."""
    found: dict[str, tuple[int, int]] = {}
    for path in _files(folder):
        try:
            status = path.stat()
        except OSError:  # it went while we looked
            continue
        found[str(path)] = (status.st_mtime_ns, status.st_size)
    return found


async def changed(folder: Path, known: dict[str, tuple[int, int]]) -> list[str]:
    """Wait until files differ from what is known, and name them; what is known is brought up to date."""
    while True:
        now = await asyncio.to_thread(stamps, folder)
        differs = sorted(path for path in now.keys() | known.keys() if now.get(path) != known.get(path))
        if differs:
            known.clear()
            known.update(now)
            return differs
        await asyncio.sleep(_LOOK_SECONDS)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name not in _ELSEWHERE and not name.startswith(".") and not Path(place, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(place, name) for name in names if Path(name).suffix in _SUFFIXES)
