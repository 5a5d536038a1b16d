"""What an experiment may spend: a run begins only if the most that it may spend is left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from engine.definition.workflow import Workflow
from engine.errors import BudgetExceeded, InputError


@dataclass(slots=True)
class Held:
    """What a run holds until it has ended; whoever knows what it cost says so."""

    nano_usd: int


@dataclass(slots=True)
class Purse:
    """Holds for each run what its workflow may spend, and settles what it did; both never pass the limit.

    Attributes:
        limit: in nano-USD; None is no limit.
    """

    limit: int | None = None
    settled: int = 0
    held: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def hold(self, workflow: Workflow) -> AsyncGenerator[Held]:
        """Hold what a run of a workflow may spend, waiting for others that may leave enough.

        Raises:
            BudgetExceeded: not enough is left.
            InputError: there is a limit, and the workflow has no budget in USD.
        """
        most = workflow.budget.limits().nano_usd
        if self.limit is None:
            yield Held(0)
            return
        if most is None:
            raise InputError(
                f"the workflow {workflow.name!r} has no budget in USD, so nobody knows what a run may cost"
            )
        async with self._changed:
            await self._changed.wait_for(lambda: not self.held or self._has(most + self.held))
            if not self._has(most):
                raise BudgetExceeded(f"what is left does not suffice for another run of {workflow.name!r}")
            self.held += most
        held = Held(most)
        try:
            yield held
        finally:
            async with self._changed:
                self.held -= most
                self.settled += held.nano_usd
                self._changed.notify_all()

    def _has(self, nano_usd: int) -> bool:
        return self.limit is not None and self.settled + nano_usd <= self.limit
