"""What calls use and cost, and the account that no interleaving of calls can overdraw: pure arithmetic.

Money is a whole number of nano-USD (10⁻⁹ USD); unknown is None, never 0.
"""

from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import cast

from engine.errors import BudgetExceeded

NANO_PER_USD = 10**9
_LIMITED = {"tokens": "tokens", "nano_usd": "USD", "calls": "calls", "steps": "steps", "retries": "retries"}


def to_nano_usd(usd: Decimal | str, *, rounding: str = ROUND_HALF_EVEN) -> int:
    """Turn dollars into whole nano-USD."""
    return int((Decimal(usd) * NANO_PER_USD).to_integral_value(rounding=rounding))


def to_usd(nano_usd: int | None) -> Decimal | None:
    """Turn nano-USD into dollars; unknown stays unknown."""
    return None if nano_usd is None else Decimal(nano_usd) / NANO_PER_USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens of one or more calls, as OpenTelemetry counts them.

    Attributes:
        input_tokens: all tokens read, cached ones included.
        cache_read_tokens: the part of the input that was read from a cache.
        cache_write_tokens: the part of the input that was written to a cache.
        output_tokens: all tokens written, reasoning included.
        reasoning_tokens: the part of the output that was reasoning.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Add two usages, kind by kind."""
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in USD per million tokens.

    Attributes:
        input: tokens read that were not cached.
        output: tokens written.
        cache_read: tokens read from a cache; the input price where not given.
        cache_write: tokens written to a cache; the input price where not given.
    """

    input: Decimal | str
    output: Decimal | str
    cache_read: Decimal | str | None = None
    cache_write: Decimal | str | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged, however much is used."""
        return not any(Decimal(price or 0) for price in (self.input, self.output, self.cache_read, self.cache_write))

    def cost(self, usage: Usage) -> int:
        """Give the cost of a usage in nano-USD, rounded up."""
        plain = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        dollars = (
            plain * Decimal(self.input)
            + usage.cache_read_tokens * Decimal(read)
            + usage.cache_write_tokens * Decimal(write)
            + usage.output_tokens * Decimal(self.output)
        ) / 1_000_000
        return to_nano_usd(dollars, rounding=ROUND_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A quantity of everything that a budget limits."""

    tokens: int = 0
    nano_usd: int = 0
    calls: int = 0
    steps: int = 0
    retries: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        """Add two amounts, kind by kind."""
        return Amount(
            tokens=self.tokens + other.tokens,
            nano_usd=self.nano_usd + other.nano_usd,
            calls=self.calls + other.calls,
            steps=self.steps + other.steps,
            retries=self.retries + other.retries,
        )

    def __sub__(self, other: "Amount") -> "Amount":
        """Take one amount from another, kind by kind."""
        return Amount(
            tokens=self.tokens - other.tokens,
            nano_usd=self.nano_usd - other.nano_usd,
            calls=self.calls - other.calls,
            steps=self.steps - other.steps,
            retries=self.retries - other.retries,
        )

    def or_nothing(self) -> "Amount":
        """Give the same without what is less than nothing."""
        return Amount(**{one.name: max(getattr(self, one.name), 0) for one in fields(Amount)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that an account may spend; None is unlimited."""

    tokens: int | None = None
    nano_usd: int | None = None
    calls: int | None = None
    steps: int | None = None
    retries: int | None = None


@dataclass(slots=True)
class Account:
    """Reserve before, settle after: settled + reserved never passes a limit.

    One event loop owns an account and no method awaits, so parallel branches compete atomically.

    Attributes:
        held: what is kept for some of those below and not spent by them yet.
    """

    limits: Limits = Limits()
    settled: Amount = Amount()
    reserved: Amount = Amount()
    parent: "Account | None" = None
    held: Amount = Amount()

    def left(self, kind: str, held_for_it: int = 0) -> int | None:
        """Say how much of a kind may still be reserved here and in every account above; None is unlimited.

        Args:
            kind: of what.
            held_for_it: how much of what is held here is for whoever asks.
        """
        limit: int | None = getattr(self.limits, kind)
        taken = self.settled, self.reserved, self.held
        here = None if limit is None else limit - sum(getattr(amount, kind) for amount in taken) + held_for_it
        if self.parent is None:
            return here
        known = [amount for amount in (here, self.parent.left(kind)) if amount is not None]
        return min(known) if known else None

    def reserve(self, amount: Amount) -> None:
        """Set an amount aside in this account and every account above, or in none of them.

        Raises:
            BudgetExceeded: the amount does not fit; the sentence names the limit, what is left and what was asked.
        """
        self._refuse_too_much(amount)
        self._add(reserved=amount)

    def spend(self, amount: Amount) -> None:
        """Settle an amount without setting it aside before.

        Raises:
            BudgetExceeded: the amount does not fit.
        """
        self._refuse_too_much(amount)
        self._add(settled=amount)

    def settle(self, reservation: Amount, spent: Amount) -> None:
        """Replace a reservation by what was really spent."""
        self._add(reserved=Amount() - reservation, settled=spent)

    def release(self, reservation: Amount) -> None:
        """Give a reservation back unspent."""
        self._add(reserved=Amount() - reservation)

    def recount(self, spent: Amount) -> None:
        """Count what the topmost account, filled from the ledger, has counted already."""
        if self.parent is not None:
            self.settled += spent
            self.parent.recount(spent)

    def _refuse_too_much(self, amount: Amount) -> None:
        for kind, name in _LIMITED.items():
            asked, left = getattr(amount, kind), self.left(kind)
            if left is not None and asked > left:
                raise BudgetExceeded(
                    f"the budget has {_show(kind, left)} {name} left and {_show(kind, asked)} could be needed; "
                    f"raise the workflow's Budget({'usd' if kind == 'nano_usd' else kind}=...) or lower its max_tokens"
                )

    def _add(self, *, reserved: Amount | None = None, settled: Amount | None = None) -> None:
        if reserved is not None:
            self.reserved += reserved
        if settled is not None:
            self.settled += settled
        if self.parent is not None:
            self.parent._add(reserved=reserved, settled=settled)


@dataclass(slots=True)
class KeptAccount(Account):
    """What some may spend: what is kept for them in the account above, and then what is free there."""

    kept: Amount = Amount()

    @classmethod
    def of(cls, parent: Account, kept: Amount) -> "KeptAccount":
        """Keep an amount of an account."""
        parent.held += kept
        return cls(parent=parent, kept=kept)

    def left(self, kind: str, held_for_it: int = 0) -> int | None:
        """Say how much of a kind may still be reserved, what is kept included."""
        del held_for_it  # it has no limits, so nothing is held in it
        return self._above.left(kind, getattr(self._unspent, kind))

    def recount(self, spent: Amount) -> None:
        """Count it, unless this was filled from the ledger together with the topmost account."""
        if self._above.parent is not None:
            self.fill(spent)
            self._above.recount(spent)

    def fill(self, spent: Amount) -> None:
        """Count what the account above has counted already."""
        self._change(settled=spent)

    @property
    def _above(self) -> Account:
        return cast("Account", self.parent)  # `of` gives it one

    @property
    def _unspent(self) -> Amount:
        return (self.kept - self.settled - self.reserved).or_nothing()

    def _change(self, *, reserved: Amount = Amount(), settled: Amount = Amount()) -> None:
        before = self._unspent
        self.reserved += reserved
        self.settled += settled
        self._above.held += self._unspent - before

    def _add(self, *, reserved: Amount | None = None, settled: Amount | None = None) -> None:
        self._change(reserved=reserved or Amount(), settled=settled or Amount())
        self._above._add(reserved=reserved, settled=settled)


def _show(kind: str, amount: int) -> str:
    return f"{to_usd(amount):f}" if kind == "nano_usd" else f"{amount:,}"
