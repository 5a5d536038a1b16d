"""What it saved not to ask the dearest model: kept with the step, so that it can be added up."""

from collections.abc import Sequence

from engine.runtime.run import Step
from engine.usage import Usage


def note_route(step: Step, asked: Sequence[str], among: Sequence[str], usage: Usage | None) -> None:
    """Write down which roles a step asked, and what it saved.

    What it saved is what the last answer would have cost from the dearest of the roles, less what all calls of the step
    were charged: a cascade that had to climb has saved less than nothing.

    Args:
        step: the step.
        asked: the roles in turn.
        among: those that might have been asked.
        usage: the tokens of the last answer; None if the provider did not say.
    """
    step.record.routed = " > ".join(asked)
    if usage is None:
        return
    run = step.run
    costs = [run.targets_of(role)[0].priced(usage, run.clock.now()) for role in among]
    known = [cost for cost in costs if cost is not None]
    if len(known) == len(costs):
        step.record.saved_nano_usd = max(known) - step.spent.nano_usd
