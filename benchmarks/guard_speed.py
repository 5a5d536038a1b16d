"""What the rule guardrails for texts cost together: CPU time per KB by size of text, growth with the text, memory.

The texts are public technical documents and answers of tools. All guardrails look at one text before the next comes, as
in a run, and the first text of each size is left out, since it builds what is built once.
"""

import resource
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import GuardItem, Guardrail, Stage
from guardrails import Exfiltration, Injection, Language, MaxLength, Pii, Secrets

SIZES = (256, 1024, 4096, 16_384, 65_536)
"""Characters of a text."""
_MOST_TEXTS = 120
_LONG = 1_000_000


def guards() -> Sequence[Guardrail]:
    """Give every guardrail that reads texts by rules."""
    return [Injection(), Pii(), Secrets(), Exfiltration(), Language(allow=["en"]), MaxLength(characters=10**9)]


def speeds(documents: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Measure milliseconds of CPU time per 1,024 characters by size; a shorter text counts as so many."""
    everything, ours = "\n".join(documents), guards()
    for size in SIZES:
        texts = [everything[at : at + size] for at in range(0, len(everything) - size + 1, size)][: _MOST_TEXTS + 1]
        took = [_milliseconds(ours, text) / max(1, size / 1024) for text in texts][1:]
        yield {"characters": size, "texts": len(took), "p50_ms_per_kb": statistics.median(took), "worst": max(took)}


def growth(documents: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Measure how many times as long ten times the text takes, and how much memory that leaves in use."""
    everything = "\n".join(documents)
    short = (everything * (_LONG // len(everything) + 1))[:_LONG]
    for guard in guards():
        _look(guard, short)
        once = min(_seconds(guard, short) for _ in range(3))
        before = _megabytes()
        ten = min(_seconds(guard, short * 10) for _ in range(2))
        yield {
            "guard": guard.name,
            "seconds_per_mb": once,
            "ratio": ten / max(once, 1e-6),
            "grew_mb": _megabytes() - before,
        }


def _milliseconds(guardrails: Sequence[Guardrail], text: str) -> float:
    began = time.process_time()
    for guard in guardrails:
        _look(guard, text)
    return (time.process_time() - began) * 1e3


def _seconds(guard: Guardrail, text: str) -> float:
    began = time.process_time()
    _look(guard, text)
    return time.process_time() - began


def _look(guard: Guardrail, text: str) -> None:
    guard.check_text(text, GuardItem(stage=Stage.TOOL_OUTPUT, value=text))


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
