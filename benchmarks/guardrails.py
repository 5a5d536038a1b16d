"""Measure what the guardrails find and how often they are wrong, per source of public data.

Rules are not to be tuned to single rows: a kept part of each set decides.

    uv run python benchmarks/guardrails.py --json
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from engine import GuardItem, Guardrail, Stage, Verdict
from guardrails.injection import Injection
from guardrails.pii import Pii

Row = Mapping[str, Any]
DEFAULT_DATA = ROOT.parent / "shared" / "data" / "guardrails"
PII_LABELS = {
    "CREDIT_CARD": "CARD",
    "EMAIL_ADDRESS": "EMAIL",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
}


@dataclass
class Tally:
    """How often something that should be found was, and how often something else was."""

    hits: int = 0
    expected: int = 0
    alarms: int = 0
    benign: int = 0

    def add(self, *, is_attack: bool, found: bool) -> None:
        """Count one row."""
        if is_attack:
            self.expected += 1
            self.hits += found
        else:
            self.benign += 1
            self.alarms += found

    @property
    def recall(self) -> float | None:
        """The share of what should be found that was."""
        return self.hits / self.expected if self.expected else None

    @property
    def false_alarms(self) -> float | None:
        """The share of what should pass that did not."""
        return self.alarms / self.benign if self.benign else None


@dataclass
class Measured:
    """Figures of one guardrail on one set."""

    guard: str
    data: str
    us_per_kb_p50: float
    us_per_kb_p95: float
    total: Tally
    sources: dict[str, Tally] = field(default_factory=dict[str, Tally])


def main() -> None:
    args = _arguments()
    if not (args.data / "pii.jsonl.gz").is_file():
        print(f"There is no guardrail data in {args.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    measured = [*measure_all(args.data)]
    if args.json:
        print(json.dumps([asdict(row) for row in measured], indent=2))
        return
    print(f"{'guard':<11}{'data':<22}{'source':<40}{'recall':>16}{'false alarms':>18}{'p50 us/KB':>11}{'p95':>8}")
    for row in measured:
        _print(row, "all", row.total, f"{row.us_per_kb_p50:>11.0f}{row.us_per_kb_p95:>8.0f}")
        for source, tally in sorted(row.sources.items()):
            _print(row, source, tally, "")


def _print(row: Measured, source: str, tally: Tally, times: str) -> None:
    recall = "" if tally.recall is None else f"{tally.recall:.1%} of {tally.expected}"
    alarms = "" if tally.false_alarms is None else f"{tally.false_alarms:.1%} of {tally.benign}"
    print(f"{row.guard:<11}{row.data:<22}{source:<40}{recall:>16}{alarms:>18}{times}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with the *.jsonl.gz sets")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure_all(data: Path) -> Iterator[Measured]:
    """Measure every guardrail on the sets that are about it."""
    yield measure_pii(data)
    yield measure_pii_on_documents(data)
    for name, stage in (("direct", Stage.RUN_INPUT), ("indirect", Stage.TOOL_OUTPUT), ("obfuscated", Stage.RUN_INPUT)):
        yield measure_injection(data, f"injection_{name}", stage)


def measure_pii(data: Path) -> Measured:
    """Per kind: spans that were found, of those marked; a span counts where most of it is covered."""
    guard, tallies, times = Pii(), defaultdict[str, Tally](Tally), list[float]()
    for row in rows_of(data / "pii.jsonl.gz"):
        verdict, took = _timed(guard, row["text"], Stage.RUN_OUTPUT)
        times.append(took)
        for span in row["spans"]:
            label = PII_LABELS.get(span["type"])
            if label is not None:
                found = any(
                    2 * (min(hit.end, span["end"]) - max(hit.start, span["start"])) > span["end"] - span["start"]
                    for hit in verdict.spans
                    if hit.label == label
                )
                tallies[f"{row['source']}: {label}"].add(is_attack=True, found=found)
        if row["label"] == "none":
            tallies[row["source"]].add(is_attack=False, found=not verdict.allows)
    return _measured("pii", "pii", tallies, times)


def measure_pii_on_documents(data: Path) -> Measured:
    """How many technical documents are said to hold personal data."""
    return _rows_measured(
        Pii(),
        "technical documents",
        (row for row in rows_of(data / "injection_indirect.jsonl.gz") if row["source"].startswith("repo-docs:")),
        Stage.PASSAGES,
    )


def measure_injection(data: Path, name: str, stage: Stage) -> Measured:
    """Attacks that were found, and benign texts that were taken for some."""
    by: Callable[[Row], str] = (lambda row: row["category"]) if name.endswith("obfuscated") else _source
    return _rows_measured(Injection(), name, rows_of(data / f"{name}.jsonl.gz"), stage, by)


def _source(row: Row) -> str:
    return str(row["source"])


def _rows_measured(
    guard: Guardrail, name: str, rows: Iterable[Row], stage: Stage, by: Callable[[Row], str] = _source
) -> Measured:
    tallies, times = defaultdict[str, Tally](Tally), list[float]()
    for row in rows:
        verdict, took = _timed(guard, row["text"], stage)
        times.append(took)
        tallies[by(row)].add(is_attack=row["label"] == "attack", found=not verdict.allows)
    return _measured(guard.name, name, tallies, times)


def _measured(guard: str, name: str, tallies: Mapping[str, Tally], times: list[float]) -> Measured:
    total = Tally()
    for tally in tallies.values():
        total.hits += tally.hits
        total.expected += tally.expected
        total.alarms += tally.alarms
        total.benign += tally.benign
    p95 = statistics.quantiles(times, n=20)[-1]
    return Measured(guard, name, statistics.median(times), p95, total, dict(tallies))


def _timed(guard: Guardrail, text: str, stage: Stage) -> tuple[Verdict, float]:
    """Check a text and give the microseconds that it took per KB; a text under 1 KB counts as one."""
    item = GuardItem(stage=stage, value=text)
    before = time.perf_counter()
    verdict = guard.check_text(text, item)
    took = time.perf_counter() - before
    return verdict, took * 1e6 / max(1.0, len(text) / 1024)


def rows_of(path: Path) -> list[Row]:
    """Read the rows of a set."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
