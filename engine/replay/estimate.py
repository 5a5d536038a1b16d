"""What replays with a change will ask and cost, before anybody is asked: from what the recorded runs asked."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from engine.definition.workflow import Workflow
from engine.models.tokens import estimate as count_tokens
from engine.records import CallRecord, StepRecord
from engine.reports.usual_usage import Usual
from engine.runtime.history import MODEL_CALL
from engine.usage import Usage, to_usd

_WIDTH = 1.96  # standard errors on either side: 95 of 100 intervals hold what they are about
_UNSEEN = 0.1  # of the whole, besides: how long a changed prompt makes requests and answers is not seen before

Pricing = Callable[[str, Usage], int | None]
"""Gives what a usage of the model that plays a role costs (nano-USD); None if that is not known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one replay is expected to ask of models."""

    calls: float = 0.0
    tokens: float = 0.0
    nano_usd: float = 0.0
    is_priced: bool = True

    def __add__(self, other: "Expected") -> "Expected":
        """Add two."""
        return Expected(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.nano_usd + other.nano_usd,
            self.is_priced and other.is_priced,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the replays of a batch are expected to ask together.

    Attributes:
        runs: how many runs are replayed, and in how many of them a model is asked anew: `live_runs`.
        calls: requests of models, and what they read and write together: `tokens`.
        nano_usd: what that costs, between `low` and `high` in 95 of 100 cases: `low` if what follows a changed node
            asks nothing else than it did. None if a price is not known.
    """

    runs: int
    live_runs: int
    calls: float
    tokens: float
    nano_usd: int | None
    low: int | None
    high: int | None

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON; dollars are text, so that nothing is rounded."""
        money = {"cost_usd": self.nano_usd, "cost_usd_low": self.low, "cost_usd_high": self.high}
        return {
            "runs": self.runs,
            "live_runs": self.live_runs,
            "calls": round(self.calls),
            "tokens": round(self.tokens),
            **{name: None if amount is None else f"{to_usd(amount):f}" for name, amount in money.items()},
        }


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change reaches in a workflow.

    Attributes:
        changed: nodes that ask something else, or somebody else.
        after: nodes that may hear of it.
        longer: by how many tokens a request of a changed node is longer than it was.
    """

    changed: frozenset[str]
    after: frozenset[str]
    longer: Mapping[str, int]

    @classmethod
    def of(cls, workflow: Workflow, definition: str | None, changed: Iterable[str]) -> "Reach":
        """See what changes of nodes reach; the definition is what was run before, as JSON."""
        here = frozenset(changed)
        now: dict[str, Any] = json.loads(workflow.to_json())["nodes"]
        was: dict[str, Any] = json.loads(definition)["nodes"] if definition else {}
        longer = {name: _prompt(now[name]) - _prompt(was[name]) for name in here if name in was}
        return cls(here, frozenset(workflow.graph.reachable(here)) - here, longer)


def expected(
    reach: Reach,
    steps: Sequence[StepRecord],
    calls: Sequence[CallRecord],
    usual: Mapping[str, Usual],
    price: Pricing,
) -> tuple[Expected, Expected]:
    """Say what a replay will ask at the changed nodes that a run came to, and at those behind them.

    Where a step had failed, what the runs that succeeded ask there says more than what it asked.
    """
    failed = {step.node_name.partition("/")[0] for step in steps if step.status != "ok"}
    came_to = {step.node_name.partition("/")[0] for step in steps}
    asked: dict[str, list[CallRecord]] = {}
    for call in calls:
        if call.operation_name == MODEL_CALL:
            asked.setdefault(call.node_name.partition("/")[0], []).append(call)

    def at(name: str) -> Expected:
        longer, its = reach.longer.get(name, 0), asked.get(name, [])
        if its and name not in failed:
            return sum((_one(call, longer, price) for call in its), Expected())
        return _usually(usual.get(name), its[:1], longer, price)

    here = sum((at(name) for name in sorted(reach.changed & came_to)), Expected())
    if not reach.changed & came_to:
        return here, Expected()
    return here, sum((at(name) for name in sorted(reach.after)), Expected())


def together(replays: Sequence[tuple[Expected, Expected]]) -> Estimate:
    """Add up what replays are expected to ask, with an interval."""
    whole = [here + after for here, after in replays]
    total = sum(whole, Expected())
    margin = _WIDTH * _standard_error([one.nano_usd for one in whole]) + _UNSEEN * total.nano_usd
    least = sum(here.nano_usd for here, _ in replays)
    known = total.is_priced
    return Estimate(
        runs=len(replays),
        live_runs=sum(one.calls > 0 for one in whole),
        calls=total.calls,
        tokens=total.tokens,
        nano_usd=round(total.nano_usd) if known else None,
        low=round(max(least - margin, 0)) if known else None,
        high=round(total.nano_usd + margin) if known else None,
    )


def _one(call: CallRecord, longer: int, price: Pricing) -> Expected:
    read, written = max((call.usage_input_tokens or 0) + longer, 0), call.usage_output_tokens or 0
    return _priced(1.0, read, written, call.target, price)


def _usually(usual: Usual | None, asked: Sequence[CallRecord], longer: int, price: Pricing) -> Expected:
    """Go by what is usual; how long the request is, the run itself says best."""
    if usual is None:
        return sum((_one(call, longer, price) for call in asked), Expected())
    own = asked[0].usage_input_tokens if asked else None
    read = usual.input_tokens if own is None else max(own + longer, 0)
    return _priced(max(usual.calls, 1.0) if asked else usual.calls, read, usual.output_tokens, usual.role, price)


def _priced(calls: float, read: float, written: float, role: str, price: Pricing) -> Expected:
    cost = price(role, Usage(input_tokens=round(read), output_tokens=round(written)))
    return Expected(calls, calls * (read + written), calls * (cost or 0), cost is not None)


def _prompt(node: Mapping[str, Any]) -> int:
    """Count the tokens of a node's prompt, as it stands in a definition."""
    prompt: Any = node.get("prompt", "")
    texts = [prompt] if isinstance(prompt, str) else [prompt.get("system", ""), prompt.get("text", "")]
    return sum(map(count_tokens, texts))


def _standard_error(amounts: Sequence[float]) -> float:
    """Give the standard error of a sum."""
    if len(amounts) < 2:
        return 0.0
    mean = sum(amounts) / len(amounts)
    return sqrt(sum((amount - mean) ** 2 for amount in amounts) / (len(amounts) - 1) * len(amounts))
