"""Degrade: when a budget runs low, its ladder says what is done with less, and the step says what that was."""

from collections.abc import Mapping
from typing import Any

from engine.definition.policies import Budget, Rung
from engine.runtime.run import Call, Step, StepNext
from engine.runtime.telling import tell
from engine.usage import Account


async def skip_when_low(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Leave a node out that the ladder says is not needed now; the run goes on behind it."""
    if any(step.record.node_name in rung.skip for rung in rungs_of(step)):
        note(step, "skipped")
        return {}
    return await call_next(step)


def rungs_of(step: Step) -> list[Rung]:
    """Give the rungs that hold now, the lowest last."""
    budget = step.scope.budget
    if not budget.ladder:
        return []
    left = _share_left(budget, step.scope.account)
    return sorted((rung for rung in budget.ladder if left < rung.below), key=lambda rung: -rung.below)


def role_for(step: Step, role: str) -> str:
    """Give the role that is asked in place of another."""
    chosen = role
    for rung in rungs_of(step):
        chosen = rung.models.get(role, chosen)
    if chosen != role:
        note(step, f"{role} > {chosen}")
    return chosen


def at_most(step: Step, name: str, asked: int) -> int:
    """Give how many tokens or passages are asked for, where the ladder says fewer."""
    least = min((limit for rung in rungs_of(step) if (limit := getattr(rung, name)) is not None), default=asked)
    if least < asked:
        note(step, f"{name} {least}")
    return min(least, asked)


def warn_when_low(call: Call) -> None:
    """Tell once that the budget is nearly used up."""
    run = call.run
    if run.budget.warn is None or run.has_warned:
        return
    used = 1 - _share_left(run.budget, run.account)
    if used >= run.budget.warn:
        run.has_warned = True
        tell(call.step, "budget_warning", {"used": round(used, 4), "warn": run.budget.warn})


def note(step: Step, what: str) -> None:
    """Write down what a step did without."""
    noted = step.record.degraded
    if noted is None or what not in noted.split(", "):
        step.record.degraded = what if noted is None else f"{noted}, {what}"


def _share_left(budget: Budget, account: Account) -> float:
    """Give the share that is left of the scarcest limit; 1 if there is none."""
    limits = budget.limits()
    shares = [
        max(account.left(kind) or 0, 0) / limit
        for kind in ("tokens", "nano_usd", "calls", "steps")
        if (limit := getattr(limits, kind)) is not None
    ]
    return min(shares, default=1.0)
