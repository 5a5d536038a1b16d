"""What a node or workflow asks of the runtime: retry, breaker, cache and budget, as values."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import Annotated

from langchain_core.embeddings import Embeddings
from pydantic import AfterValidator, Field, field_validator

from engine.definition.by_path import Code, CodePath, Frozen, Many
from engine.usage import Amount, Limits, to_nano_usd

MOST_SECONDS = 10**9
"""About thirty years; what is to last longer is a mistake."""

KEPT_KINDS = ("tokens", "nano_usd", "calls", "steps")
"""Of what a share can be kept for a node."""


def dollars(usd: Decimal | str | None) -> Decimal | None:
    """Read dollars exactly; a text may be given, so that 0.05 means just that."""
    if usd is None:
        return None
    try:
        amount = Decimal(usd)
    except InvalidOperation as error:
        raise ValueError("US dollars are a number, as in '0.05'") from error
    if not amount.is_finite() or amount <= 0:
        raise ValueError("an amount of money is greater than 0")
    return amount


def dollars_or_nothing(usd: Decimal | str | None) -> Decimal | None:
    """Read dollars exactly, where nothing may be charged too."""
    return Decimal(0) if str(usd) in ("0", "0.0", "0.00") else dollars(usd)


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
    share: float = Field(default=0.2, gt=0, le=1)
    """How many retries each first attempt at a target earns, over all runs of the process: a target that is down is not
    asked several times by everybody. Twenty retries are there from the start."""


class Hedge(Frozen):
    """When a call that takes long is made once more beside the first; the answer that comes first counts.

    Both attempts are charged, the one that is given up at the most that it can have cost.
    """

    after: float = Field(gt=0, le=MOST_SECONDS)
    """Seconds; a little more than nearly all calls take."""
    share: float = Field(default=0.05, gt=0, le=1)
    """How many such attempts each call to a target earns: one that is slow for everybody is not asked twice by all."""


class Breaker(Frozen):
    """When a target that keeps failing, is slow or burns money is left alone; any of these opens the breaker."""

    failures: int = Field(default=5, ge=1)
    """Failures in a row."""
    window: float = Field(default=60.0, gt=0)
    """Seconds that the shares below look back."""
    min_calls: int = Field(default=20, ge=1)
    """Attempts in the window from which on shares mean something."""
    failure_rate: float | None = Field(default=0.5, gt=0, le=1)
    """The share of attempts in the window that failed."""
    slow_seconds: float | None = Field(default=None, gt=0)
    """From how many seconds on an attempt is slow, whether it fails or not."""
    slow_rate: float = Field(default=0.5, gt=0, le=1)
    """The share of attempts in the window that were slow."""
    lost_usd: Annotated[Decimal | str | None, AfterValidator(dollars)] = None
    """US dollars that failed attempts in the window were charged."""
    reset_after: float = Field(default=30.0, gt=0)
    """Seconds until one probe is let through."""


class Similar(Frozen):
    """When what was made for one text may be given for another that says nearly the same."""

    field: str
    """The field whose text may differ; all else that the node reads is the same."""
    embeddings: Code
    """The import path of a LangChain Embeddings."""
    at_least: float = Field(default=0.95, gt=0, le=1)
    """The cosine of two texts from which on they count as the same."""
    price: Annotated[Decimal | str | None, AfterValidator(dollars_or_nothing)] = None
    """USD per million tokens, where the catalogue does not know the embedding model; "0" for one that runs here."""

    @field_validator("embeddings")
    @classmethod
    def _are_embeddings(cls, path: CodePath) -> CodePath:
        if not isinstance(path.load(), Embeddings):
            raise ValueError("it is no Embeddings of LangChain: name an instance, as in 'package.module:embeddings'")
        return path


class Cache(Frozen):
    """How long what a node wrote may be used again, by every process, for the same inputs and the same tenant."""

    ttl: float = Field(default=3600.0, gt=0, le=MOST_SECONDS)
    """Seconds that an entry lives."""
    shared: bool = False
    """Whether what was made for one tenant may be given to another."""
    similar: Similar | None = None
    """Whether a text that is nearly the same may be answered with what was made for another; never if not given."""
    version: Code | None = None
    """A function of fields that gives what an answer depends on besides what the node reads, as the version of an
    index; what was made under another is not used."""
    stale: float | None = Field(default=None, gt=0, le=MOST_SECONDS)
    """Seconds after its time in which an entry still stands in when the node fails; the step is then marked `stale`."""


class Rung(Frozen):
    """What is done with less when a budget runs low."""

    below: float = Field(gt=0, lt=1)
    """The share that is left of the scarcest limit, under which it holds."""
    models: Mapping[str, str] = Field(default_factory=dict)
    """Roles, each with the role that is asked instead, as in {"large": "small"}."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of one answer."""
    top_k: int | None = Field(default=None, ge=1)
    """The most passages of one retrieval."""
    skip: Many[str] = ()
    """Nodes that are left out; none of them may be a check."""


class Budget(Frozen):
    """The most that one run may spend; a call that could pass a limit is not made."""

    usd: Annotated[Decimal | str | None, AfterValidator(dollars)] = None
    """US dollars; a model without a known price is refused where this is set."""
    tokens: int | None = Field(default=None, gt=0)
    """Tokens read and written."""
    calls: int | None = Field(default=None, gt=0)
    """Attempts of model, tool and retriever calls."""
    steps: int | None = Field(default=None, gt=0)
    """Visits of nodes."""
    retries: int | None = Field(default=None, gt=0)
    """Further attempts of calls that failed; when they are used up, a call that fails is not tried again."""
    seconds: float | None = Field(default=None, gt=0)
    """Seconds from the start of the run to its end."""
    ladder: Many[Rung] = ()
    """What is done with less when little is left, before a call has to be refused."""
    keep: Mapping[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """Nodes, each with the share of every limit that no other node can spend, as in {"answer": 0.3}; a part of a
    call counts as a whole one. Time and retries are not kept."""
    warn: float | None = Field(default=None, gt=0, lt=1)
    """The share of a limit from which on a `budget_warning` event tells that it is nearly used up."""

    def kept(self) -> Mapping[str, Amount]:
        """Give what is kept for each node that something is kept for."""
        limits = self.limits()
        return {
            name: Amount(**{kind: ceil(share * (getattr(limits, kind) or 0)) for kind in KEPT_KINDS})
            for name, share in self.keep.items()
        }

    def limits(self) -> Limits:
        """Give the limits that an account watches; time is watched by a deadline."""
        return Limits(
            tokens=self.tokens,
            nano_usd=None if self.usd is None else to_nano_usd(self.usd),
            calls=self.calls,
            steps=self.steps,
            retries=self.retries,
        )
