"""The witness: what really went out and came back, written outside the ledger, so that the ledger can be judged by it.

A line is one write at the end of a file, so it outlives the process that wrote it, however that ends.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.runtime.answer import Answer
from engine.runtime.run import Call

What = Literal["sent", "answered", "guessed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that was seen to happen.

    Attributes:
        what: a request went out, its answer came back, or a person let an action be made again without knowing.
        call: the attempt's row in the ledger.
        request: the hash of what was asked.
        key: the idempotency key of an action.
        tokens: what the provider counted, in an answer.
        answer: what an action that may happen once answered.
    """

    what: What
    run: str
    step: str
    node: str
    call: str
    ordinal: int
    request: str
    operation: str
    effect: str | None = None
    key: str | None = None
    tokens: int = 0
    answer: Any = None


class Witness:
    """Writes down what it sees, a line each.

    Args:
        path: the file; several processes may write to it, one after another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def sent(self, call: Call) -> None:
        """A request goes out."""
        self.note(_seen("sent", call))

    def answered(self, call: Call, answer: Answer) -> None:
        """Its answer has come back."""
        self.note(_seen("answered", call, answer))

    def note(self, seen: Seen) -> None:
        """Write a line; it begins on a line of its own even where the one before was cut."""
        line = f"\n{json.dumps(asdict(seen), ensure_ascii=False)}\n".encode(errors="surrogatepass")
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def read(self) -> list[Seen]:
        """Give everything that was seen so far, in order."""
        if not self.path.exists():
            return []
        return read_lines(self.path.read_bytes().split(b"\n"))


def read_lines(lines: Sequence[bytes]) -> list[Seen]:
    """Read lines; the one that a kill cut short says nothing."""
    found: list[Seen] = []
    for line in lines:
        try:
            found += [Seen(**json.loads(line.decode(errors="surrogatepass")))] if line else []
        except (ValueError, TypeError):
            continue
    return found


def _seen(what: What, call: Call, answer: Answer | None = None) -> Seen:
    row, effect = call.record, call.details.get("effect")
    tokens = answer.usage.total_tokens if answer is not None and answer.usage is not None else 0
    return Seen(
        what=what,
        run=call.run.record.run_id,
        step=call.step.record.step_id,
        node=call.step.name,
        call=row.call_id if row is not None else "",
        ordinal=call.ordinal,
        request=call.request_hash,
        operation=call.operation,
        effect=effect,
        key=call.details.get("idempotency_key"),
        tokens=tokens,
        answer=answer.response if answer is not None and effect == "once" else None,
    )
