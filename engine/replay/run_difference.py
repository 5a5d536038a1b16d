"""Two runs side by side, step by step: where they part, and what each step took, used and cost in either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.records import CallRecord, RunRecord, StepRecord
from engine.runtime.first_difference import first_difference
from engine.runtime.tape import StepKey, keys_of
from engine.store.ledger import SqlLedger
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSide:
    """A step in one of the runs.

    Attributes:
        nano_usd: what its calls were charged; those of steps inside it stand with these.
    """

    status: str
    tokens: int
    nano_usd: int
    duration_ns: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "status": self.status,
            "tokens": self.tokens,
            "charged_usd": f"{to_usd(self.nano_usd):f}",
            "duration_s": self.duration_ns / 1e9,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPair:
    """A visit of a node in both runs; None on the side where it was not.

    Attributes:
        difference: in what the two differ first, in words.
    """

    name: str
    before: OneSide | None
    after: OneSide | None
    difference: str | None


@dataclass(frozen=True, slots=True)
class RunDifference:
    """Two runs and their steps, in the order in which they began.

    Attributes:
        ended: how they ended differently, in words.
    """

    before: RunRecord
    after: RunRecord
    steps: Sequence[StepPair]
    ended: str | None

    @property
    def first(self) -> str | None:
        """The first thing in which they differ."""
        found = next((f"{pair.name}: {pair.difference}" for pair in self.steps if pair.difference), None)
        return found or self.ended

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "before": self.before.run_id,
            "after": self.after.run_id,
            "first_difference": self.first,
            "steps": [
                {
                    "step": pair.name,
                    "before": pair.before and pair.before.to_json(),
                    "after": pair.after and pair.after.to_json(),
                    "difference": pair.difference,
                }
                for pair in self.steps
            ],
        }


async def run_difference(ledger: SqlLedger, one: RunRecord, other: RunRecord) -> RunDifference:
    """Compare two runs of one workflow."""
    before, after = [await _side(ledger, run) for run in (one, other)]
    pairs = [await _pair(ledger, key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    if one.status != other.status:
        ended = f"it {one.status}, and the other {other.status}"
    else:
        values = [await _value(ledger, run.output_payload) for run in (one, other)]
        ended = first_difference(*values)
    return RunDifference(one, other, pairs, ended)


_Side = tuple[StepRecord, Sequence[CallRecord]]


async def _side(ledger: SqlLedger, run: RunRecord) -> Mapping[StepKey, _Side]:
    """Give the last try of each step of a run, with its calls."""
    steps = {step.step_id: step for step in await ledger.steps(run.run_id)}  # in the order of tries: the last stays
    calls: dict[str, list[CallRecord]] = {}
    for call in await ledger.calls(run.run_id):
        calls.setdefault(call.step_id, []).append(call)
    keys = keys_of(steps)
    ordered = sorted(steps.values(), key=lambda step: step.seq)
    return {keys[step.step_id]: (step, calls.get(step.step_id, ())) for step in ordered}


async def _pair(ledger: SqlLedger, key: StepKey, before: _Side | None, after: _Side | None) -> StepPair:
    name, visit, item = key[-1]
    shown = f"{name}{f'#{visit}' if visit > 1 else ''}{'' if item is None else f'[{item}]'}"
    return StepPair(
        name=shown,
        before=None if before is None else _one(before),
        after=None if after is None else _one(after),
        difference=await _difference(ledger, before, after),
    )


def _one(side: _Side) -> OneSide:
    step, calls = side
    return OneSide(
        status=step.status,
        tokens=sum((call.usage_input_tokens or 0) + (call.usage_output_tokens or 0) for call in calls),
        nano_usd=sum(call.charged_nano_usd for call in calls),
        duration_ns=step.duration_ns or 0,
    )


async def _difference(ledger: SqlLedger, before: _Side | None, after: _Side | None) -> str | None:
    if before is None or after is None:
        return f"only in the {'second' if before is None else 'first'}"
    (old, asked), (new, asks) = before, after
    for what in ("input_payload", "request", "status", "error_message", "update_payload"):
        if what == "request":
            found = await _requests(ledger, asked, asks)
        elif what.endswith("_payload"):
            found = await _values(ledger, getattr(old, what), getattr(new, what))
            found = found and f"{'reads' if what == 'input_payload' else 'writes'} {found}"
        else:
            one, other = getattr(old, what), getattr(new, what)
            found = None if one == other else f"{what.replace('_', ' ')} was {one!r} and is {other!r}"
        if found is not None:
            return found
    return None


async def _requests(ledger: SqlLedger, asked: Sequence[CallRecord], asks: Sequence[CallRecord]) -> str | None:
    """Compare what was asked, attempt by attempt; who was asked counts too."""
    for one, other in zip(asked, asks, strict=False):
        who = [
            f"{call.provider_name}:{call.request_model}" if call.request_model else call.tool_name
            for call in (one, other)
        ]
        if who[0] != who[1]:
            return f"asks {who[1]} and asked {who[0]}"
        if one.request_hash != other.request_hash:
            found = await _values(ledger, one.request_payload, other.request_payload)
            return f"asks {found}"
    return None if len(asked) == len(asks) else f"asks {len(asks)} times and asked {len(asked)}"


async def _values(ledger: SqlLedger, one: str | None, other: str | None) -> str | None:
    if one == other:
        return None
    return first_difference(await _value(ledger, one), await _value(ledger, other))


async def _value(ledger: SqlLedger, name: str | None) -> Any:
    return None if name is None else await ledger.value(name)
