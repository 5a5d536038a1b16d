"""Reads runs off the ledger, a few at a time, and gives them on as requests of OpenTelemetry's protocol."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from engine.definition.guardrail import Guardrail, redacted
from engine.exports.attributes import Profile
from engine.exports.bookmark import Bookmark
from engine.exports.otlp import Resource, request_of
from engine.exports.spans import Span, spans_of
from engine.store.ledger import SqlLedger
from engine.store.whole_runs import RunsWanted, WholeRun, count_runs, payload_names, read_runs

_RUNS_AT_ONCE = 50
_SPANS_AT_ONCE = 1_000  # in one request; receivers take 4 MB and more
_TOLD = ("error_message", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceExport:
    """What is given of which runs.

    Attributes:
        content: whether what was said is given, and not only that something was.
        redact: guardrails whose masks are carried out in it, and in the messages of errors.
    """

    ledger: SqlLedger
    wanted: RunsWanted
    resource: Resource
    profile: Profile
    content: bool = False
    redact: Sequence[Guardrail] = ()

    async def count(self) -> int:
        """Say how many runs there are."""
        return await self.ledger.read(partial(count_runs, wanted=self.wanted))

    async def requests(self, bookmark: Bookmark | None = None) -> AsyncGenerator[tuple[dict[str, Any], int, int]]:
        """Give request after request, with how many spans it has and of how many runs it is the last.

        Raises:
            StoreError: the database refused, or has a text no more.
        """
        after = ""
        wanted = self.wanted if bookmark is None else replace(self.wanted, ended_since=bookmark.since)
        while True:
            read = partial(read_runs, wanted=wanted, after=after, limit=_RUNS_AT_ONCE, values=self.content)
            found, values = await self.ledger.read(read)
            if not found:
                return
            after = found[-1].run.run_id
            fresh = found if bookmark is None else [whole for whole in found if not bookmark.has(whole.run)]
            spans = [span for whole in fresh for span in await self._spans(whole, values)]
            parts = list(_parts(spans, _SPANS_AT_ONCE))
            for number, part in enumerate(parts, 1):
                ended = len(fresh) if number == len(parts) else 0
                yield request_of(part, self.resource), len(part), ended
            if bookmark is not None:
                bookmark.give(whole.run for whole in fresh)
            await asyncio.sleep(0)  # so that whoever wants it can end this

    async def _spans(self, whole: WholeRun, values: dict[str, Any]) -> list[Span]:
        if not self.redact:
            return spans_of(whole, self.profile, values if self.content else None)
        for row in (whole.run, *whole.steps, *whole.calls, *whole.verdicts):
            for name in _TOLD:
                if text := getattr(row, name, None):
                    setattr(row, name, (await redacted(text, self.redact))[0])
        named = payload_names(whole) if self.content else ()
        mine = {name: (await redacted(values[name], self.redact))[0] for name in named}
        return spans_of(whole, self.profile, mine if self.content else None)


def _parts(spans: Iterable[Span], size: int) -> Iterator[list[Span]]:
    waiting = iter(spans)
    while part := list(islice(waiting, size)):
        yield part
