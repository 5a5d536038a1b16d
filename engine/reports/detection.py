"""How well a guardrail tells what it should stop from what it should let pass, on rows that somebody has labelled."""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.definition.guardrail import GuardItem, Guardrail, Stage
from engine.definition.text_origin import PROMPT, Source, TextOrigin
from engine.errors import InputError

Row = Mapping[str, Any]

BENIGN = frozenset({"benign", "none", "not_secret", "safe", "valid", "grounded"})
"""Labels of what should pass, unless others are named; every other label is of what should be found."""

_Z = 1.959964  # of a 95 % interval


@dataclass(slots=True)
class Share:
    """How many of how many, with the interval in which the true share lies with 95 %."""

    hits: int = 0
    of: int = 0

    def add(self, is_hit: bool) -> None:
        """Count one."""
        self.hits += is_hit
        self.of += 1

    @property
    def share(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's interval, which holds for few rows and shares near 0 and 1, too."""
        if not self.of:
            return None
        share, square = self.hits / self.of, _Z**2
        middle = (share + square / (2 * self.of)) / (1 + square / self.of)
        half = _Z / (1 + square / self.of) * math.sqrt(share * (1 - share) / self.of + square / (4 * self.of**2))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Tally:
    """What was found of what should be, and of what should pass."""

    found: Share = field(default_factory=Share)
    alarms: Share = field(default_factory=Share)

    def add(self, *, should_be_found: bool, is_found: bool) -> None:
        """Count one."""
        (self.found if should_be_found else self.alarms).add(is_found)

    def to_json(self) -> dict[str, Any]:
        """Give the shares."""
        rows = self.found.of + self.alarms.of
        return {"rows": rows, "recall": self.found.share, "false_alarm_rate": self.alarms.share}


@dataclass(slots=True)
class Detection:
    """The figures of one guardrail on one set."""

    guard: str
    total: Tally = field(default_factory=Tally)
    by_source: dict[str, Tally] = field(default_factory=lambda: defaultdict[str, Tally](Tally))
    took_ms: list[float] = field(default_factory=list[float])
    kilobytes: list[float] = field(default_factory=list[float])

    def add(self, source: str, *, should_be_found: bool, is_found: bool) -> None:
        """Count one row."""
        for tally in (self.total, self.by_source[source]):
            tally.add(should_be_found=should_be_found, is_found=is_found)

    def took(self, milliseconds: float, characters: int) -> None:
        """Note how long one row took."""
        self.took_ms.append(milliseconds)
        self.kilobytes.append(max(1.0, characters / 1024))

    @property
    def p50_ms(self) -> float:
        """The median time of a row."""
        return statistics.median(self.took_ms) if self.took_ms else 0.0

    @property
    def p99_ms(self) -> float:
        """The time that one row in a hundred takes longer than."""
        return statistics.quantiles(self.took_ms, n=100)[-1] if len(self.took_ms) > 1 else self.p50_ms

    @property
    def p50_ms_per_kb(self) -> float:
        """The median time for 1,024 characters; a shorter text counts as one KB."""
        per_kb = [took / size for took, size in zip(self.took_ms, self.kilobytes, strict=True)]
        return statistics.median(per_kb) if per_kb else 0.0

    def to_json(self) -> dict[str, Any]:
        """Give the figures."""
        by_source = {source: tally.to_json() for source, tally in sorted(self.by_source.items())}
        times = {"p50_ms": round(self.p50_ms, 3), "p99_ms": round(self.p99_ms, 3)}
        return {"guard": self.guard, **self.total.to_json(), "by_source": by_source, **times}


async def detection_of(
    guardrail: Guardrail,
    rows: Iterable[Row],
    stage: Stage = Stage.RUN_INPUT,
    *,
    benign: frozenset[str] = BENIGN,
    by: str = "source",
) -> Detection:
    """Ask a guardrail about every row, and count; whatever it does not allow is found."""
    figures = Detection(guardrail.name)
    for number, row in enumerate(rows, 1):
        item = item_of(row, stage, number)
        began = time.perf_counter()
        verdicts = await guardrail.check(item)
        took = (time.perf_counter() - began) * 1e3
        figures.took(took, len(str(row.get("text", item.value))))
        figures.add(str(row.get(by, "-")), should_be_found=str(row["label"]) not in benign, is_found=bool(verdicts))
    return figures


def item_of(row: Row, stage: Stage, number: int = 1) -> GuardItem:
    """Give what a guardrail looks at in a row.

    A row is `{label, text}`; `{label, tool, args, user_task, prior_tool_outputs}` for a call of a tool; both may have
    `system`, what the author of the workflow says to the model; with `context`, the text is an answer that is to be
    grounded in it. `stage` in a row goes before the one given.

    Raises:
        InputError: it has no label, or nothing to look at.
    """
    if "label" not in row:
        raise InputError(f"row {number} has no label: give each row `label`, and `text` or `tool` and `args`")
    if "tool" in row and "args" in row:
        value = row["args"]
        return GuardItem(
            stage=Stage.TOOL_ARGUMENTS, value=value, arguments=value, tool=str(row["tool"]), sources=_sources_of(row)
        )
    if "text" not in row:
        raise InputError(f"row {number} has no text: give each row `label`, and `text` or `tool` and `args`")
    at = Stage(row.get("stage", stage))
    if "context" in row:
        passages = [{"id": "1", "text": row["context"]}]
        fields = {"answer": row["text"], "passages": passages, "question": row.get("question", "")}
        return GuardItem(stage=at, value={"answer": row["text"]}, state=fields)
    return GuardItem(stage=at, value=row["text"], tool=row.get("tool"), sources=_sources_of(row))


def _sources_of(row: Row) -> tuple[Source, ...]:
    said: Sequence[tuple[str, TextOrigin, Any]] = (
        ("user_task", TextOrigin.USER, row.get("user_task")),
        (PROMPT, TextOrigin.SYSTEM, row.get("system")),
        *((f"answer {n}", TextOrigin.TOOL, text) for n, text in enumerate(row.get("prior_tool_outputs") or (), 1)),
    )
    return tuple(Source(name=name, origins=frozenset({origin}), value=value) for name, origin, value in said if value)
