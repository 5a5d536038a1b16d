"""Hold back: text that a model is writing is heard in pieces, each once every output guardrail has settled it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.definition.guard_policy import GuardRule, may_turn_down
from engine.definition.guardrail import Action, GuardItem, Guardrail, Stage, Verdict
from engine.runtime.examine import by_policy, policy_at
from engine.runtime.run import Run, Step
from engine.runtime.sources import sources_at

_STEP = 32  # characters that come before the guardrails look again
_CONTEXT = 1024  # characters before what is new that they see with it


class Withheld(Exception):
    """A guardrail does not let the text be heard, or could not look at it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A guardrail that has to see a text before it is heard, and where it stands in the run."""

    run: Run
    policy: Sequence[GuardRule]
    guardrail: Guardrail
    item: GuardItem

    def settled(self, text: str) -> int:
        """Say how much of a text that is still being written has its verdict for good."""
        turns_down = may_turn_down(self.policy, self.guardrail.name, self.item.stage)
        return 0 if turns_down else self.guardrail.settled(text)

    async def about(self, text: str) -> Verdict | None:
        """Give its verdict on a text, or on a stretch of it.

        Raises:
            Withheld: it says that the text may not go on as it is or with stretches replaced, or it broke down.
        """
        item = self.item.model_copy(update={"value": {self.item.path: text}, "path": ""})
        try:
            async with asyncio.timeout(self.guardrail.seconds):
                found = await self.guardrail.weigh(item)
        except Exception as error:
            raise Withheld from error
        verdicts = dict(by_policy(self.policy, self.guardrail, item, found))
        verdict = verdicts.pop(self.item.path, None)
        if verdict is not None:
            verdict = self.run.vault.put_in(self.guardrail.name, verdict, text)
        if any(not other.allows for other in verdicts.values()):
            raise Withheld
        return verdict


def guards_of(step: Step) -> Sequence[Guard]:
    """Give all that have to see what a step writes: its own, then those of its workflow and of the steps around it.

    Raises:
        Withheld: one further out compares fields that do not exist yet, or one asks others.
    """
    guards = [guard for guard in _guards_of(step) if not guard.guardrail.shadow]
    if any(guard.guardrail.judge or guard.guardrail.classifier for guard in guards):
        raise Withheld  # they are asked once, about the whole
    return guards


def _guards_of(step: Step) -> Iterator[Guard]:
    policy = policy_at(step.run, step)
    name = next(iter(step.node.writes), "text")

    def guard(guardrail: Guardrail, stage: Stage) -> Guard:
        item = GuardItem(stage=stage, value="", path=name, node=step.name, state=step.state, sources=sources_at(step))
        return Guard(step.run, policy, guardrail, item)

    yield from (guard(one, step.node.output_stage) for one in step.node.guard_output)
    around: Step | None = step
    while around is not None:
        workflow, parent = around.scope.workflow, around.scope.parent
        if parent is None or parent.scope.workflow is not workflow:
            yield from (guard(_asked(one, around is step), Stage.RUN_OUTPUT) for one in workflow.guard_output)
        if parent is not None:
            yield from (guard(_asked(one, False), parent.node.output_stage) for one in parent.node.guard_output)
        around = parent


def _asked(guardrail: Guardrail, knows_fields: bool) -> Guardrail:
    if guardrail.reads and not guardrail.shadow and not knows_fields:
        raise Withheld
    return guardrail


@dataclass(slots=True)
class _Pass:
    """What one guardrail has been given of a text, and how far it has passed it on.

    Attributes:
        text: what it has been given, without what lies too far back to matter.
        done: how many characters of that it has passed on.
    """

    guard: Guard
    text: str = ""
    done: int = 0

    async def take(self, more: str) -> str:
        """Give what is settled by now, with verdicts carried out."""
        self.text += more
        settled = self.guard.settled(self.text)
        if settled <= self.done:
            return ""
        verdict = await self.guard.about(self.text)
        spans = () if verdict is None or verdict.action is Action.FLAG else verdict.spans
        if verdict is not None and not verdict.replaces_spans:
            raise Withheld
        cut = settled
        while crossing := [span.start for span in spans if span.start < cut < span.end]:
            cut = min(crossing)
        new, self.done = slice(self.done, cut), max(self.done, cut)
        inside = [span for span in spans if span.start >= new.start and span.end <= cut]
        if any(span.start < new.start < span.end for span in spans):
            raise Withheld  # it had settled a stretch and judges otherwise now
        moved = [span.moved(-new.start) for span in inside]
        passed = self.text[new]
        if verdict is not None:
            passed = verdict.model_copy(update={"spans": tuple(moved)}).applied_to(passed)
        self._forget()
        return passed

    def _forget(self) -> None:
        """Leave out what is too far back, up to the end of a line or sentence."""
        far = self.done - _CONTEXT
        if far > 0 and (end := max(self.text.rfind("\n", 0, far), self.text.rfind(". ", 0, far))) > 0:
            self.text, self.done = self.text[end + 1 :], self.done - end - 1


@dataclass(slots=True)
class HeldText:
    """The text of one call on its way to a listener.

    Attributes:
        call_id: the call.
        guards: who has to see it; None where it is withheld whatever it says.
    """

    step: Step
    call_id: str
    guards: Sequence[Guard] | None
    _passes: list[_Pass] = field(default_factory=list[_Pass])
    _written: list[str] = field(default_factory=list[str])
    _waiting: str = ""
    _unsaid: str = ""
    _heard: str = ""

    def __post_init__(self) -> None:
        """Begin with nothing said."""
        self._passes = [_Pass(guard) for guard in self.guards or ()]

    @classmethod
    def of(cls, step: Step, call_id: str) -> "HeldText":
        """Give the text of a call of a step; with `unsafe_stream_first` no guardrail holds it."""
        if getattr(step.node, "unsafe_stream_first", False):
            return cls(step, call_id, ())
        try:
            return cls(step, call_id, guards_of(step))
        except Withheld:
            return cls(step, call_id, None)

    async def add(self, text: str) -> None:
        """Take in what the model wrote, and let be heard what is settled."""
        self._written.append(text)
        self._waiting += text
        if self.guards is None or (self.guards and len(self._waiting) < _STEP):
            return
        passed, self._waiting = self._waiting, ""
        try:
            for one in self._passes:
                passed = await one.take(passed)
        except Withheld:
            self.guards = None
            return
        await self._say(passed)

    async def end(self) -> None:
        """Let the rest be heard, or nothing, as the guardrails say of the whole."""
        if self.guards is None:
            self._take_back()
        if not self.guards:
            await self._say("", is_all=True)
            return
        whole = "".join(self._written)
        try:
            for guard in self.guards:
                verdict = await guard.about(whole)
                if verdict is not None and not verdict.leaves_text:
                    raise Withheld
                whole = whole if verdict is None else verdict.applied_to(whole)
        except Withheld:
            self._take_back()
            return
        if not whole.startswith(self._heard):  # one had not kept what it promised by `settled`
            self._take_back()
        await self._say(whole[len(self._heard) :], is_all=True)

    async def _say(self, text: str, *, is_all: bool = False) -> None:
        """Let a text be heard, with its tokens put back; one that has only begun waits for its end."""
        self._heard += text
        self._unsaid += text
        vault = self.step.run.vault
        whole = len(self._unsaid) if is_all else vault.whole_up_to(self._unsaid)
        said, self._unsaid = self._unsaid[:whole], self._unsaid[whole:]
        if said:
            self.step.say(self.call_id, await vault.restored(said))

    def _take_back(self) -> None:
        if self._heard:
            self.step.unsay(self.call_id)
        self._heard = self._unsaid = ""
