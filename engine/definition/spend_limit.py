"""What tenants, users, workflows or the whole app may spend in a window of time, as a value."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, field_validator

from engine.definition.by_path import Frozen
from engine.definition.policies import dollars
from engine.usage import to_nano_usd

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


class SpendLimit(Frozen):
    """The most that all runs of a tenant, a user, a workflow or the app may spend in a window of time."""

    per: Literal["tenant", "user", "workflow", "app"]
    """Whose runs are added up; those of no tenant or no user count as one."""
    usd: Annotated[Decimal | str, AfterValidator(dollars)]
    """US dollars; a model without a known price is refused."""
    window: str = "1d"
    """How long a window is, as in 15m, 1h, 1d or 30d; windows begin at multiples of it since 1970 in UTC."""

    @field_validator("window")
    @classmethod
    def _is_span(cls, text: str) -> str:
        number, unit = text[:-1], text[-1:]
        if unit not in _UNITS or not number.isdecimal() or not 0 < int(number) <= 100_000:
            raise ValueError("a window is a span like 15m, 1h, 1d or 30d")
        return text

    @property
    def seconds(self) -> int:
        """How long a window is."""
        return int(self.window[:-1]) * _UNITS[self.window[-1]]

    @property
    def nano_usd(self) -> int:
        """What may be spent in one."""
        return to_nano_usd(self.usd)

    def key(self, value: str | None) -> str:
        """Name the limit of one tenant, user or workflow."""
        return f"{self.per}:{'' if self.per == 'app' else value or ''}:{self.window}"
