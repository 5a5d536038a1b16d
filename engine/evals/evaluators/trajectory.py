"""Evaluators of the way a run took: which tools it called, with what, how often, and where the world then stood."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, SerializeAsAny

from engine.definition.by_path import Code
from engine.evals.evaluators.evaluator import Evaluator, Score
from engine.evals.trial import ToolUse, Trial
from engine.payloads import canonical


class Trajectory(Evaluator):
    """Looks at the tools that were called; what is expected stands under `tools` in the case."""

    needs_success = False

    expected: str = "tools"
    """The name of the expected tools in `expect`: names, or objects of `name` and `arguments`."""

    def wanted(self, trial: Trial) -> list[Mapping[str, Any]] | None:
        """Give the expected calls; None where the case says nothing of them."""
        given = trial.expected(self.expected)
        if given is None:
            return None
        calls = cast("list[str | dict[str, Any]]", given)
        return [{"name": one} if isinstance(one, str) else one for one in calls]


class Tools(Trajectory):
    """Whether the expected tools were called: all of them, exactly these, in this order, or none but these."""

    match: Literal["all", "exactly", "in order", "none but"] = "all"
    """`all` and `in order` allow others between; `exactly` counts each; `none but` lets some be left out."""

    def score(self, trial: Trial) -> Score:
        """Compare."""
        wanted = self.wanted(trial)
        if wanted is None:
            return Score(None)
        names, called = [str(one["name"]) for one in wanted], [use.name for use in trial.tools]
        left = iter(called)
        fits = {
            "all": not Counter(names) - Counter(called),
            "exactly": Counter(names) == Counter(called),
            "in order": all(name in left for name in names),
            "none but": set(called) <= set(names),
        }[self.match]
        return Score(float(fits), explanation=None if fits else f"called {', '.join(called) or 'none'}")


class Arguments(Trajectory):
    """The share of expected calls that were made with expected arguments; a list of values allows each of them.

    As in BFCL: `{"name": "book", "arguments": {"seat": ["aisle", "window"], "note": ["", null]}}`; an argument that may
    be null or empty may also be left out.
    """

    def score(self, trial: Trial) -> Score:
        """Find a call for each, every call for one at the most."""
        wanted = self.wanted(trial)
        if not wanted:
            return Score(None if wanted is None else float(not trial.tools))
        left, missing = list(trial.tools), list[str]()
        for one in wanted:
            fits = next((use for use in left if _is_as(use, one)), None)
            if fits is None:
                missing.append(canonical(dict(one)))
            else:
                left.remove(fits)
        share = 1 - len(missing) / len(wanted)
        return Score(share, explanation=f"no call like {missing[0]}" if missing else None)


class ForbiddenTools(Trajectory):
    """Whether none of these tools was called."""

    tools: tuple[str, ...] = Field(min_length=1)
    """Their names."""

    def score(self, trial: Trial) -> Score:
        """Look for them."""
        called = [use.name for use in trial.tools if use.name in self.tools]
        return Score(float(not called), explanation=f"called {called[0]}" if called else None)


class Abstains(Trajectory):
    """Whether no tool was called where none is expected, and some where some are."""

    def score(self, trial: Trial) -> bool | None:
        """Compare."""
        wanted = self.wanted(trial)
        return None if wanted is None else bool(wanted) == bool(trial.tools)


class Calls(Trajectory):
    """Whether no more tools were called, models asked and attempts made again than that."""

    tools: int | None = Field(default=None, ge=0)
    """How many calls of tools there may be."""
    models: int | None = Field(default=None, ge=0)
    """How many requests to models."""
    retries: int | None = Field(default=None, ge=0)
    """How many further attempts, of any call."""

    def score(self, trial: Trial) -> Score:
        """Count."""
        counts = {"tools": len(trial.tools), "models": trial.model_requests, "retries": trial.retries}
        most = {"tools": self.tools, "models": self.models, "retries": self.retries}
        over = [
            f"{counts[name]} {name}, not {limit}"
            for name, limit in most.items()
            if limit is not None and counts[name] > limit
        ]
        return Score(float(not over), explanation="; ".join(over) or None)


class NoLoops(Trajectory):
    """Whether no tool was called more often with the same arguments than that."""

    most: int = Field(default=2, ge=1)
    """How often is enough."""

    def score(self, trial: Trial) -> Score:
        """Count the same calls."""
        counts = Counter((use.name, canonical(dict(use.arguments))) for use in trial.tools)
        (name, _), many = counts.most_common(1)[0] if counts else (("", ""), 0)
        return Score(float(many <= self.most), explanation=f"{name} {many} times" if many > self.most else None)


class FinalState(Evaluator):
    """Whether the world stands where the case expects it: a function of yours says where it stands after a trial."""

    needs_success = False

    world: SerializeAsAny[Code]
    """A function of a trial that returns JSON."""
    expected: str = "state"
    """The name of what is expected in the case."""

    @property
    def code(self) -> tuple[Any, ...]:
        """The function."""
        return (self.world.load(),)

    def score(self, trial: Trial) -> bool | None:
        """Compare."""
        wanted = trial.expected(self.expected)
        return None if wanted is None else canonical(self.world.load()(trial)) == canonical(wanted)


def _is_as(use: ToolUse, wanted: Mapping[str, Any]) -> bool:
    arguments = cast("Mapping[str, Any]", wanted.get("arguments") or {})
    if use.name != wanted["name"] or (arguments and not set(use.arguments) <= set(arguments)):
        return False
    return all(_allows(allowed, use.arguments, name) for name, allowed in arguments.items())


def _allows(allowed: Any, given: Mapping[str, Any], name: str) -> bool:
    values = [*_listed(allowed), allowed]
    if name not in given:
        return any(value in (None, "") for value in values)
    return any(_same(given[name], value) for value in values)


def _listed(allowed: object) -> list[Any]:
    return cast("list[Any]", allowed) if isinstance(allowed, list) else []


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().casefold() == other.strip().casefold()
    return canonical(one) == canonical(other) or (isinstance(one, int | float) and one == other)
