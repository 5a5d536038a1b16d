"""A policy is a table: guardrails find, and its rows say what is done about what they found."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from engine.definition.by_path import Frozen, Many
from engine.definition.guardrail import ON_SPANS, Action, GuardItem, Guardrail, Span, Stage, Verdict
from engine.definition.text_origin import TextOrigin

_SEVERITY = list(Action)
_GOES_ON = {None, Action.ALLOW, Action.FLAG, *ON_SPANS}


def _listed(value: Any) -> Any:
    """Take one name for a list of one."""
    return (value,) if isinstance(value, str) else value


class GuardRule(Frozen):
    """A row of a policy: for which findings, and what is done about them. What is left out fits everything.

    The first row that fits a finding decides; where none does, the guardrail's own action stands. A row that names
    kinds decides about spans of these kinds only, so one text may have its cards cut out and its addresses tokenised.
    """

    guard: Annotated[Many[str], BeforeValidator(_listed)] = ()
    """Guardrails by name, as in "pii"."""
    kind: Annotated[Many[str], BeforeValidator(_listed)] = ()
    """What was found, as the labels of spans say it: EMAIL."""
    at_least: float = Field(default=0.0, ge=0, le=1)
    """The lowest score; a finding without one counts as 1. Guardrails tell of signs too weak for themselves, too."""
    below: float | None = Field(default=None, gt=0, le=1)
    """The score from which it no longer fits."""
    stage: Annotated[Many[Stage], BeforeValidator(_listed)] = ()
    """Where in the run."""
    origin: Annotated[Many[TextOrigin], BeforeValidator(_listed)] = ()
    """Whose words: one of these had a part in the text."""
    effect: Annotated[Many[Literal["read", "idempotent", "once"]], BeforeValidator(_listed)] = ()
    """What the tool does that is about to be called or has answered."""
    action: Action | None = None
    """What is done; what the guardrail says if not given."""
    allow: Annotated[Many[str], BeforeValidator(_listed)] = ()
    """Texts that are let through where they are what was found: "help@acme.com", or all of a domain, "@acme.com"."""

    def fits(self, guard: str, item: GuardItem, score: float | None, kind: str | None) -> bool:
        """Say whether the row is about a finding."""
        weight = 1.0 if score is None else score
        return (
            (not self.guard or guard in self.guard)
            and (not self.kind or kind in self.kind)
            and self.at_least <= weight
            and (self.below is None or weight < self.below)
            and (not self.stage or item.stage in self.stage)
            and (not self.origin or not item.origins.isdisjoint(self.origin))
            and (not self.effect or item.effect in self.effect)
        )

    def lets_through(self, text: str) -> bool:
        """Say whether a text that was found is on its list."""
        bare = text.strip().casefold()
        return any(bare == one or (one.startswith("@") and bare.endswith(one)) for one in map(str.casefold, self.allow))


def decided(rules: Sequence[GuardRule], guardrail: Guardrail, item: GuardItem, verdict: Verdict, text: str) -> Verdict:
    """Give what a policy makes of a verdict about a text; `item` says where it stands."""
    if not rules:
        return verdict
    rows = [rule for rule in rules if rule.fits(guardrail.name, item, verdict.score, None) or rule.kind]
    if not rows:
        return verdict
    if not verdict.spans:
        action = next((rule.action for rule in rows if not rule.kind), None) or verdict.action
        has_no_place = action in ON_SPANS and action is not verdict.action
        return _said(verdict, max(verdict.action, Action.DROP, key=_SEVERITY.index) if has_no_place else action)
    spans = list(_decided(rows, guardrail.name, item, verdict, text))
    if not spans:
        return Verdict(action=Action.ALLOW)
    worst = max((span.action or verdict.action for span in spans), key=_SEVERITY.index)
    return _said(verdict, worst).model_copy(update={"spans": tuple(spans)})


def _decided(rows: Sequence[GuardRule], guard: str, item: GuardItem, verdict: Verdict, text: str) -> Iterable[Span]:
    """Give the spans that are not let through, each with what is done about it."""
    for span in verdict.spans:
        row = next((rule for rule in rows if rule.fits(guard, item, verdict.score, span.label)), None)
        if row is None:
            yield span
        elif not row.lets_through(text[span.start : span.end]):
            yield span if row.action is None else span.model_copy(update={"action": row.action})


def _said(verdict: Verdict, action: Action) -> Verdict:
    if action is verdict.action:
        return verdict
    reason = f"{verdict.reason} (the policy says {action}, the guardrail {verdict.action})".strip()
    return verdict.model_copy(update={"action": action, "reason": reason})


def may_turn_down(rules: Sequence[GuardRule], guard: str, stage: Stage) -> bool:
    """Say whether a policy may do more about what a guardrail finds at a stage than replace stretches of the text."""
    about = (
        rule for rule in rules if (not rule.guard or guard in rule.guard) and (not rule.stage or stage in rule.stage)
    )
    return any(rule.action not in _GOES_ON for rule in about)


def faults_of_policy(rules: Sequence[GuardRule], guardrails: Sequence[Guardrail]) -> list[str]:
    """Say what is wrong with a policy, given the guardrails that there are."""
    known = sorted({one.name for one in guardrails})
    faults = [
        f"its policy names the guardrail {name!r}, and there are {', '.join(known) or 'none'}"
        for rule in rules
        for name in rule.guard
        if name not in known
    ]
    for number, rule in enumerate(rules, 1):
        faults += _faults_of_kinds(
            number, rule, [one for one in guardrails if not rule.guard or one.name in rule.guard]
        )
        if rule.action is Action.FIX:
            faults.append(f"row {number} of its policy says fix, which only a guardrail can: name another action")
        if rule.action is None and not rule.allow:
            faults.append(f"row {number} of its policy says neither what is done nor what is let through")
        if rule.below is not None and rule.below <= rule.at_least:
            faults.append(f"row {number} of its policy fits no score: {rule.at_least} and more, below {rule.below}")
    return faults


def _faults_of_kinds(number: int, rule: GuardRule, guardrails: Sequence[Guardrail]) -> Iterable[str]:
    """Say which kinds nobody ever finds; a guardrail of somebody else's may find any."""
    if guardrails and all(one.labels is not None for one in guardrails):
        labels = sorted({label for one in guardrails for label in one.labels or ()})
        for kind in rule.kind:
            if kind not in labels:
                yield f"row {number} of its policy names the kind {kind!r}, and there are {', '.join(labels) or 'none'}"
