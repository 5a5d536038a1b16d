"""What came of a suite of chaos: the figures that must be zero, what was found, and a table of several suites."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.table import Table

ZEROS = ("lost", "finished twice", "effects repeated", "effects missing", "ledger mismatches", "written after a thaw")


@dataclass
class Report:
    """What one suite came to; `findings` names what is not zero."""

    on: str
    runs: int
    kills: int = 0
    freezes: int = 0
    cuts: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    zeros: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ZEROS, 0))
    findings: list[str] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    in_progress: int = 0
    let_go: int = 0
    known_requests: int = 0
    seconds: float = 0.0

    def found(self, kind: str, sentence: str) -> None:
        """Note a fault."""
        self.zeros[kind] += 1
        self.findings.append(f"{kind}: {sentence}")

    @property
    def is_clean(self) -> bool:
        """Whether all is as promised; who came back must have let go of every run that it had."""
        return not self.findings and max(self.recovered_s, default=0) <= 10 and self.let_go == self.in_progress


def zero(name: str, report: Report) -> str:
    """Give a figure that must be zero."""
    return str(report.zeros[name])


def recovery(report: Report) -> str:
    """Say how long the runs of killed workers waited."""
    took = report.recovered_s
    return f"{statistics.median(took):.1f}, {max(took):.1f} at the most" if took else "-"


def show(reports: dict[str, Report | str]) -> None:
    """Print the reports side by side."""
    done = {name: report for name, report in reports.items() if isinstance(report, Report)}
    table = Table("", *done, box=None, pad_edge=False)
    rows: dict[str, Callable[[Report], str]] = {
        "runs": lambda one: f"{one.runs:,}",
        "killed, frozen, cut off": lambda one: f"{one.kills}, {one.freezes}, {one.cuts}",
        "restarts": lambda one: ", ".join(f"{times} {name}" for name, times in one.restarts.items()) or "none",
        **{name: partial(zero, name) for name in ZEROS},
        "taken again after a kill, s": recovery,
        "runs of who froze; let go": lambda one: f"{one.in_progress}; {one.let_go}",
        "requests answered by their key": lambda one: str(one.known_requests),
        "took, s": lambda one: f"{one.seconds:.0f}",
    }
    for name, cell in rows.items():
        table.add_row(name, *(cell(report) for report in done.values()))
    Console().print(table)
