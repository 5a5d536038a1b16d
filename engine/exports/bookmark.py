"""How far an export has come, so that the next one gives only what is new."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from engine.errors import InputError
from engine.records import RunRecord

OVERLAP = timedelta(minutes=2)
"""How late a run may be seen after its end: clocks differ, and a commit takes its time."""


@dataclass(slots=True)
class Bookmark:
    """What was exported.

    Attributes:
        until: the moment up to which every run was given that had ended; None before the first time.
        given: when each run had ended that was given shortly before, by its id; it may end again once resumed.
    """

    until: datetime | None = None
    given: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, path: Path) -> "Bookmark":
        """Read it; a file that is not there is the beginning.

        Raises:
            InputError: the file cannot be read, or is no bookmark.
        """
        if not path.exists():
            return cls()
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return cls(datetime.fromisoformat(said["until"]), dict(said["given"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"--bookmark {path} is not one that an export wrote: name another file") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        whole = {"until": self.until and self.until.isoformat(), "given": self.given}
        beside = path.with_name(path.name + ".new")
        try:
            beside.write_text(json.dumps(whole) + "\n", encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            raise InputError(f"--bookmark {path} cannot be written: {error.strerror}") from error

    @property
    def since(self) -> datetime | None:
        """From when on runs have to be looked at again."""
        return None if self.until is None else self.until - OVERLAP

    def has(self, run: RunRecord) -> bool:
        """Say whether a run was given as it is."""
        return run.ended_at is not None and self.given.get(run.run_id) == run.ended_at.isoformat()

    def give(self, runs: Iterable[RunRecord]) -> None:
        """Note that runs were given."""
        self.given |= {run.run_id: run.ended_at.isoformat() for run in runs if run.ended_at is not None}

    def move(self, to: datetime) -> None:
        """Say that all was given that had ended by a moment, and forget what nobody asks for any more."""
        self.until = to
        kept = to - OVERLAP
        self.given = {run_id: ended for run_id, ended in self.given.items() if datetime.fromisoformat(ended) >= kept}
