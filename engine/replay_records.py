"""What the ledger keeps of releases, and of replays of many runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

REPLAY = "replay"
"""What `runs.origin` says of a run that is a replay of another."""


@dataclass(slots=True, kw_only=True)
class ReleaseRecord:
    """That a name points at a version of a workflow, from a moment on until the next such record of the name.

    Attributes:
        version: None where the name was let go: what the code of whoever runs it says stands for it again.
        reason: why, in the words of whoever said it.
    """

    name: str
    workflow: str
    version: str | None
    set_at: datetime
    set_by: str | None = None
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class ReplayBatchRecord:
    """Many runs that are replayed together.

    Attributes:
        about: which runs, and how they are replayed, in words.
        settings: how they are replayed, JSON.
        runs: their ids.
        ended_at: when the last of them was replayed; None while some are left.
    """

    batch_id: str
    workflow: str
    about: str
    settings: dict[str, Any]
    runs: list[str]
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class BatchReplayRecord:
    """What became of one run of such a batch.

    Attributes:
        replay_run_id: the new run.
        verdict: fixed, broken, same or diverged.
        difference: in what the two ended differently first.
        played: attempts answered from the tape, and `live` those that were made.
        spent_nano_usd: what the live ones cost; None if that is not known.
        cost_before_nano_usd: what the attempts of the recorded run cost, and `cost_after_nano_usd` those of the new
            one, with what those from the tape had cost.
        calls_before_ns: how long the attempts of the recorded run took together, and `calls_after_ns` those of the new.
    """

    batch_id: str
    run_id: str
    replay_run_id: str
    verdict: str
    difference: str | None
    played: int
    live: int
    spent_nano_usd: int | None
    cost_before_nano_usd: int
    cost_after_nano_usd: int
    calls_before_ns: int
    calls_after_ns: int
