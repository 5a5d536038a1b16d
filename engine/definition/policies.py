"""What a node or workflow asks of the runtime: retry, breaker, cache and budget, as values."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, Field

from engine.definition.by_path import Frozen
from engine.usage import Limits, to_nano_usd


class Retry(Frozen):
    """How often a failed call is tried again, and how long is waited in between."""

    attempts: int = Field(default=3, ge=1, le=20)
    """Attempts in all, the first included."""
    wait: float = Field(default=0.5, ge=0)
    """Seconds before the second attempt; doubled each time. A Retry-After of the target wins if it is longer."""
    max_wait: float = Field(default=30.0, ge=0)
    """The longest wait in seconds; a target that asks for more is not tried again."""
    jitter: float = Field(default=0.25, ge=0, le=1)
    """The share of a wait that chance may add."""


class Breaker(Frozen):
    """When a target that keeps failing is left alone."""

    failures: int = Field(default=5, ge=1)
    """Failures in a row that open the breaker."""
    reset_after: float = Field(default=30.0, gt=0)
    """Seconds until one probe is let through."""


class Cache(Frozen):
    """How long what a node wrote may be used again for the same inputs."""

    ttl: float = Field(default=3600.0, gt=0)
    """Seconds that an entry lives."""


def _dollars(usd: Decimal | str | None) -> Decimal | None:
    """Read dollars exactly; a text may be given, so that 0.05 means just that."""
    if usd is None:
        return None
    try:
        amount = Decimal(usd)
    except InvalidOperation as error:
        raise ValueError("US dollars are a number, as in '0.05'") from error
    if not amount.is_finite() or amount <= 0:
        raise ValueError("a budget is greater than 0")
    return amount


class Budget(Frozen):
    """The most that one run may spend; a call that could pass a limit is not made."""

    usd: Annotated[Decimal | str | None, AfterValidator(_dollars)] = None
    """US dollars; a model without a known price is refused where this is set."""
    tokens: int | None = Field(default=None, gt=0)
    """Tokens read and written."""
    calls: int | None = Field(default=None, gt=0)
    """Attempts of model, tool and retriever calls."""
    steps: int | None = Field(default=None, gt=0)
    """Visits of nodes."""
    seconds: float | None = Field(default=None, gt=0)
    """Seconds from the start of the run to its end."""

    def limits(self) -> Limits:
        """Give the limits that an account watches; time is watched by a deadline."""
        return Limits(
            tokens=self.tokens,
            nano_usd=None if self.usd is None else to_nano_usd(self.usd),
            calls=self.calls,
            steps=self.steps,
        )
