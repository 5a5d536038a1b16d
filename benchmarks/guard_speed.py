"""What the rule guardrails for texts cost together: CPU time per KB by size of text.

The texts are public technical documents and answers of tools. All guardrails look at one text before the next comes, as
in a run, in a process that has read some texts before: automata are built as texts are met.
"""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import GuardItem, Guardrail, Stage
from guardrails import Exfiltration, Injection, Language, MaxLength, Pii, Secrets

SIZES = (256, 1024, 4096, 16_384, 65_536)
"""Characters of a text."""
_MOST_TEXTS = 120
_READ_BEFORE = 200  # texts of a KB


def guards() -> Sequence[Guardrail]:
    """Give every guardrail that reads texts by rules."""
    return [Injection(), Pii(), Secrets(), Exfiltration(), Language(allow=["en"]), MaxLength(characters=10**9)]


def speeds(documents: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Measure milliseconds of CPU time per 1,024 characters by size and guardrail; a shorter text counts as so many."""
    everything, ours = "\n".join(documents), guards()
    for text in _cut(everything, 1024)[-_READ_BEFORE:]:
        _milliseconds(ours, text)
    for size in SIZES:
        per_text = [_milliseconds(ours, text) for text in _cut(everything, size)[:_MOST_TEXTS]]
        per_kb = [[took / max(1, size / 1024) for took in each] for each in per_text]
        yield {
            "characters": size,
            "texts": len(per_kb),
            "p50_ms_per_kb": statistics.median(map(sum, per_kb)),
            "p99_ms_per_kb": sorted(map(sum, per_kb))[int(0.99 * (len(per_kb) - 1))],
            "by_guard": {
                guard.name: statistics.median(each[number] for each in per_kb) for number, guard in enumerate(ours)
            },
        }


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text) - size + 1, size)]


def _milliseconds(guardrails: Sequence[Guardrail], text: str) -> list[float]:
    took: list[float] = []
    for guard in guardrails:
        began = time.process_time()
        guard.check_text(text, GuardItem(stage=Stage.TOOL_OUTPUT, value=text))
        took.append((time.process_time() - began) * 1e3)
    return took
