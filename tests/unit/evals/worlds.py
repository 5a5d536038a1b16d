"""Functions that tests evaluate with."""

from typing import Any

from engine.evals.evaluators import Near
from engine.evals.trial import Trial

NEAR = Near(of="answer")


def seats_of(trial: Trial) -> dict[str, int]:
    """Say which seats are booked after a trial."""
    booked: dict[str, int] = {}
    for use in trial.tools:
        booked[use.arguments["seat"]] = booked.get(use.arguments["seat"], 0) + use.arguments["count"]
    return booked


def is_short(trial: Trial) -> bool:
    """Say whether the answer is short."""
    return len(trial.output["answer"]) < 10


async def half(trial: Trial) -> float:
    """Say that it is half as good."""
    return 0.5


def too_good(trial: Trial) -> float:
    """Say what no score is."""
    return 2.0


def breaks(trial: Trial) -> bool:
    """Raise."""
    raise KeyError("colour")


def a_word(trial: Trial) -> Any:
    """Say what no score is."""
    return "good"
