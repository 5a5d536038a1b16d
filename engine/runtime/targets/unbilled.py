"""What tools, retrievers and runnables have in common as targets: a call counts, and costs nothing by itself."""

from engine.runtime.run import Call
from engine.usage import Account, Amount, Usage


class Unbilled:
    """A target whose calls use no tokens that anybody bills for."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """What it is called."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """Its name; its code is part of what the workflow is."""
        return self.name

    def bound(self, call: Call, account: Account) -> Amount:
        """One call; the models that a runnable asks reserve for themselves."""
        del call, account
        return Amount(calls=1)

    def cost(self, call: Call, usage: Usage) -> tuple[int | None, str, str | None]:
        """Nothing that the engine knows of; the models that a runnable asks have rows of their own."""
        del call, usage
        return 0, "not_billed", None
