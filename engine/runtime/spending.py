"""What one run may spend of the windows that it falls into: an allotment at a time, so that calls ask no database."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.definition.spend_limit import SpendLimit
from engine.errors import BudgetExceeded
from engine.ports import Clock, Ledger, SpendWindow, WindowRefused
from engine.records import RunRecord
from engine.usage import Account, Amount, to_usd

_AHEAD = 8  # how many such calls an allotment is for, where the run has no budget in USD


@dataclass(slots=True)
class Spending:
    """The windows of a run, and what it holds of them."""

    ledger: Ledger
    clock: Clock
    run_id: str
    windows: Sequence[SpendWindow]
    most: int | None
    _allowed: int = 0
    _holds: bool = field(default=False)

    @classmethod
    def of(
        cls, ledger: Ledger, clock: Clock, record: RunRecord, limits: Sequence[SpendLimit], account: Account
    ) -> "Spending":
        """Give the windows that a run falls into."""
        whose = {"tenant": record.tenant, "user": record.user_id, "workflow": record.workflow, "app": None}
        windows = [
            SpendWindow(key=limit.key(whose[limit.per]), seconds=limit.seconds, nano_usd=limit.nano_usd)
            for limit in limits
        ]
        return cls(ledger, clock, record.run_id, windows, account.limits.nano_usd)

    async def ensure(self, account: Account, amount: Amount) -> None:
        """See that the run may spend an amount on top of what it has spent and reserved.

        Raises:
            BudgetExceeded: a window has not enough left.
        """
        needed = account.settled.nano_usd + account.reserved.nano_usd + amount.nano_usd
        if not self.windows or needed <= self._allowed:
            return
        wanted = needed + (_AHEAD - 1) * amount.nano_usd if self.most is None else self.most
        now = self.clock.now()
        self._holds = True
        found = await self.ledger.allot(self.windows, self.run_id, needed, wanted, now)
        if isinstance(found, WindowRefused):
            window, left = found.window, to_usd(max(found.left_nano_usd, 0))
            raise BudgetExceeded(
                f"the limit {window.key} of ${to_usd(window.nano_usd):f} has ${left:f} left and more could be needed; "
                f"a new window begins at {window.ends(now):%Y-%m-%d %H:%M} UTC"
            )
        self._allowed = min(found.values())

    async def settle(self) -> None:
        """Settle what was spent, and let go of the rest."""
        if self._holds:
            self._allowed, self._holds = 0, False
            await self.ledger.settle(self.run_id)
