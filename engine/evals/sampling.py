"""Sampling: which of the runs that people asked for are scored, drawn by their ids, with a chance that is known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.errors import ConfigurationError
from engine.records import RunRecord
from engine.store.samples import NOT_OVER

REST = "rest"
"""The stratum of runs that no rule is about."""

_FIELDS = ("status", "tenant", "version", "user", "schedule", "batch")
_COLUMNS = {"user": "user_id", "batch": "batch_id"}
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which runs of a workflow are scored, by whatever worker is there, after they have ended.

    Attributes:
        workflow: its name.
        rate: the share of runs that is scored, from 0 to 1.
        rates: other shares for some, by what tells them apart, the first that fits: {"status=failed": 1,
            "tenant=acme,version=1f3a": 0.5}; of status, tenant, version, user, schedule and batch, versions by their
            beginning.
        evaluators: what scores them besides what the app's `Evaluation` names.
        usd_per_day: what judges may cost in a day (UTC); beyond, only evaluators that ask nobody score.
        concurrency: how many are scored at once.

    Raises:
        ConfigurationError: a rate is no share, or a rule tells nothing apart.
    """

    workflow: str
    rate: float = 0.1
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    evaluators: Sequence[Any] = ()
    usd_per_day: Decimal | str | None = None
    concurrency: int = 2

    def __post_init__(self) -> None:
        said: Any = self  # whoever writes a sampling need not check types
        if not isinstance(said.rates, Mapping):
            raise ConfigurationError(
                f"the sampling of {self.workflow!r} has the rates {said.rates!r}: write {{'status=failed': 1}}"
            )
        if not isinstance(said.evaluators, list | tuple):
            raise ConfigurationError(
                f"the sampling of {self.workflow!r} has the evaluators {said.evaluators!r}: write a list of them"
            )
        if not isinstance(said.concurrency, int):
            raise ConfigurationError(f"the sampling of {self.workflow!r} scores {said.concurrency!r} at once: a number")
        rates: Mapping[str, Any] = self.strata
        for name, rate in rates.items():
            if not isinstance(rate, int | float) or not 0 <= rate <= 1:
                raise ConfigurationError(f"the sampling of {self.workflow!r} has the rate {rate!r} for {name}: a share")
        for rule in self.rates:
            _parts(rule)
        if self.concurrency < 1:
            raise ConfigurationError(f"the sampling of {self.workflow!r} scores {self.concurrency} at once: at least 1")
        _ = self.nano_usd_per_day

    @property
    def strata(self) -> Mapping[str, float]:
        """Give the rate of each rule, and of the rest."""
        return {**self.rates, REST: self.rate}

    @property
    def nano_usd_per_day(self) -> int | None:
        """What judges may cost in a day."""
        if self.usd_per_day is None:
            return None
        try:
            usd = Decimal(str(self.usd_per_day))
        except InvalidOperation:
            usd = Decimal(-1)
        if not usd.is_finite() or usd < 0:
            raise ConfigurationError(
                f"the sampling of {self.workflow!r} may cost {self.usd_per_day!r}: an amount in USD"
            )
        return int(usd * 10**9)

    def may_draw(self, run: RunRecord) -> bool:
        """Say whether a run is drawn; of one that has not ended, whether it may be, however it ends."""
        if run.status in NOT_OVER:
            return draw(run.run_id) < max(self.strata.values())
        return self.draws(run)

    def draws(self, run: RunRecord) -> bool:
        """Say whether a run that has ended is drawn."""
        return draw(run.run_id) < self.stratum_of(run)[1]

    def stratum_of(self, run: RunRecord) -> tuple[str, float]:
        """Give the rule that a run falls under, and its rate."""
        for rule, rate in self.rates.items():
            if all(_is(run, name, value) for name, value in _parts(rule)):
                return rule, rate
        return REST, self.rate


def draw(run_id: str) -> float:
    """Give the number from 0 (inclusive) to 1 (exclusive) that an id stands for; a run is drawn if its rate is above.

    It is the same for everybody and every time, and a lower rate draws some of those that a higher one draws.
    """
    return int(hashlib.sha256(run_id.encode()).hexdigest()[:_DIGITS], 16) / 16**_DIGITS


def _parts(rule: str) -> list[tuple[str, str]]:
    parts = [tuple(map(str.strip, part.partition("=")[::2])) for part in rule.split(",")]
    if any(name not in _FIELDS or not value for name, value in parts):
        raise ConfigurationError(
            f"the sampling rule {rule!r} is none: write status=failed, or another of {', '.join(_FIELDS)}"
        )
    return [(name, value) for name, value in parts]


def _is(run: RunRecord, name: str, value: str) -> bool:
    said = str(getattr(run, _COLUMNS.get(name, name)) or "")
    return said.startswith(value) if name == "version" else said == value
