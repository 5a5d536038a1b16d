"""Guardrails and what they may say; one walker takes every text to them, however deep it stands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from engine.definition.by_path import Code, Component
from engine.definition.judge import Judge
from engine.definition.text_origin import Origins, Source, TextOrigin


class Stage(StrEnum):
    """Where in a run a guardrail looks."""

    RUN_INPUT = "run_input"
    NODE_INPUT = "node_input"
    PASSAGES = "passages"
    TOOL_ARGUMENTS = "tool_arguments"
    TOOL_OUTPUT = "tool_output"
    MODEL_OUTPUT = "model_output"
    NODE_OUTPUT = "node_output"
    RUN_OUTPUT = "run_output"
    CHECK = "check"


class Action(StrEnum):
    """What is done about a text or value, mildest first."""

    ALLOW = "allow"
    FLAG = "flag"
    """Goes on as it is; the verdict is kept."""
    REDACT = "redact"
    """The spans are cut out."""
    MASK = "mask"
    """The spans are replaced by what they are: [EMAIL]."""
    HASH = "hash"
    """The spans are replaced by what they are and a mark that is the same for the same text: [EMAIL:k3j9x2qw]."""
    TOKENISE = "tokenise"
    """The spans are replaced by tokens, <EMAIL_K3J9X2QW>, that are put back in what the user gets."""
    FIX = "fix"
    """The whole text or value is replaced by a better one."""
    STRIP = "strip"
    """The paragraphs that hold the spans are left out; where nothing else stands there, as drop."""
    DROP = "drop"
    """The passage or list item that holds it is left out."""
    REASK = "reask"
    """The model is asked again, with the reason."""
    REQUIRE_APPROVAL = "require_approval"
    """A person must say yes before the run goes on."""
    BLOCK = "block"
    """The run ends."""


class Span(BaseModel):
    """A stretch of text that a guardrail found, as character offsets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    end: int
    label: str
    """What it is, in capitals: EMAIL."""
    action: Action | None = None
    """What is done about this stretch, if not what the verdict says; one that only touches the stretch."""
    put: str | None = None
    """What stands in its place, where that is made with the app's key."""
    sealed: str | None = None
    """The stretch itself, encrypted with the app's key, where it can be put back."""

    def moved(self, by: int) -> "Span":
        """Give the same stretch so many characters further on."""
        return self.model_copy(update={"start": self.start + by, "end": self.end + by})


class Verdict(BaseModel):
    """What a guardrail says about one text or value."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    action: Action
    reason: str = ""
    """One sentence for a person; never the sensitive text itself."""
    score: float | None = None
    """How sure the guardrail is, from 0 to 1."""
    spans: tuple[Span, ...] = ()
    value: Any = None
    """The better text or value, where the action is fix."""

    @property
    def allows(self) -> bool:
        """Whether the text goes on as it is."""
        return self.action in {Action.ALLOW, Action.FLAG}

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to say: the text goes on and nobody needs to know."""
        return self.action is Action.ALLOW

    @property
    def replaces_spans(self) -> bool:
        """Whether at most its spans are replaced, and the text around them stays."""
        return self.allows or self.action in ON_SPANS

    @property
    def leaves_text(self) -> bool:
        """Whether a text goes on, though perhaps another one."""
        return self.replaces_spans or self.action is Action.FIX

    def applied_to(self, text: str) -> str:
        """Give the text with this verdict carried out."""
        if self.action is Action.FIX:
            return str(self.value)
        if self.action is Action.STRIP:
            return _without_paragraphs(text, self.spans)
        if self.action not in ON_SPANS:
            return text
        parts: list[str] = []
        at = 0
        for span in sorted(self.spans, key=lambda span: span.start):
            action = span.action or self.action
            if action in ON_SPANS:
                put = "" if action is Action.REDACT else span.put or f"[{span.label}]"
                parts += [text[at : span.start], put]
                at = max(at, span.end)
        return "".join([*parts, text[at:]])


ALLOW = Verdict(action=Action.ALLOW)
ON_SPANS = {Action.REDACT, Action.MASK, Action.HASH, Action.TOKENISE}
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


def _without_paragraphs(text: str, spans: tuple[Span, ...]) -> str:
    """Leave out what stands from the first span to the last, with the rest of their paragraphs."""
    if not spans:
        return ""  # it was found in a form in which no place of the text can be named
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    start = max((gap.end() for gap in _BLANK_LINE.finditer(text, 0, first)), default=0)
    after = _BLANK_LINE.search(text, last)
    return text[:start] + text[after.end() :] if after else text[:start].rstrip()


class GuardItem(BaseModel):
    """One text or value that a guardrail looks at, and where it stands."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    stage: Stage
    value: Any
    """JSON: a text, or the whole of what a node reads or writes."""
    path: str = ""
    """Where the value stands, as in `passages[2].text`."""
    node: str | None = None
    tool: str | None = None
    """The tool that is about to be called or has answered, by name."""
    effect: str | None = None
    """What the tool does to the world; None where that is not known or there is none."""
    arguments: Mapping[str, Any] | None = None
    """What the tool will get, by parameter; `value` may have the same by field."""
    state: Mapping[str, Any] = {}
    """What the workflow knows at this moment; guardrails that compare fields read it."""
    sources: tuple[Source, ...] = ()
    """The same and what an agent has heard, with those who had a part in it."""

    @property
    def origins(self) -> Origins:
        """Who had a part in the text at `path`: those of its field, else whose words stand at this stage."""
        name = re.split(r"[.\[]", self.path, maxsplit=1)[0]
        field = next((source.origins for source in self.sources if source.name == name), None)
        return _AT_STAGE.get(self.stage, field or frozenset({TextOrigin.USER}))


_AT_STAGE: Mapping[Stage, Origins] = {
    Stage.PASSAGES: frozenset({TextOrigin.DOCUMENT}),
    Stage.TOOL_OUTPUT: frozenset({TextOrigin.TOOL}),
    Stage.MODEL_OUTPUT: frozenset({TextOrigin.MODEL}),
    Stage.TOOL_ARGUMENTS: frozenset({TextOrigin.MODEL}),
}


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError("the first score is below the second, as in (0.1, 0.9)")
    return ends


class Guardrail(Component):
    """Looks at texts and values at one or more stages and says what is to be done about them.

    A guardrail of your own overrides `check_text` (called with every text, however deep) or `check` (called once with
    the whole value). It returns verdicts and changes nothing; the engine carries them out and writes them down.
    """

    labels: ClassVar[Sequence[str] | None] = None
    """What it may call the spans that it finds; empty where it names none, None where that is not known."""

    shadow: bool = False
    """Whether its verdicts are only written down, to see what it would do."""
    on_error: Literal["closed", "open"] = "closed"
    """Whether what it could not look at, since it failed or took too long, is blocked or goes on; an action with a side
    effect is always blocked."""
    seconds: float | None = Field(default=None, gt=0)
    """The longest that one check may take, as far as it awaits something; None for ever."""

    classifier: Code | None = None
    """A function of a text that gives how sure it is, from 0 to 1; asked where the guardrail's own score is grey."""
    judge: Judge | None = None
    """Who is asked where the score is grey, also the classifier's, and before every action with a side effect while the
    run knows what nobody trusted said."""
    grey: Annotated[tuple[float, float], AfterValidator(_rising)] = (0.1, 0.9)
    """The scores, from the first and below the second, about which somebody else is asked."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields of the state that the guardrail names itself."""
        return ()

    def settled(self, text: str) -> int:
        """Say how much of a text that is still being written has its verdict, in characters from its beginning.

        What stands there is judged the same whatever follows. A text of which nothing is settled is held back until it
        is whole, as it must be where a guardrail could turn the whole down.
        """
        del text
        return 0

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Say what is to be done about one text; the item tells where it stands."""
        raise TypeError(f"{type(self).__name__} overrides neither check nor check_text")

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Say what is to be done about a value: verdicts with the path of what each is about."""
        return [(path, verdict) for path, verdict in self._verdicts(item) if verdict.action is not Action.ALLOW]

    async def weigh(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Say the same, and of what goes on because its signs are too weak, how strong they are."""
        if type(self).check is not Guardrail.check:
            return await self.check(item)
        return [(path, verdict) for path, verdict in self._verdicts(item) if verdict.score or not verdict.is_nothing]

    def _verdicts(self, item: GuardItem) -> Iterable[tuple[str, Verdict]]:
        for path, text in texts_in(item.value, item.path):
            yield path, self.check_text(text, item.model_copy(update={"path": path}))

    @cached_property
    def name(self) -> str:
        """How reports and the ledger call this guardrail."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @classmethod
    def load(cls, value: Any) -> Self:
        """Make a guardrail of its JSON form; a class that needs no arguments may be given as it is."""
        return value() if isinstance(value, type) and issubclass(value, cls) else super().load(value)


AnyGuardrail = Annotated[SerializeAsAny[Guardrail], BeforeValidator(Guardrail.load)]
"""A field that holds a guardrail of any kind."""


def texts_in(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Walk JSON and give every text in it with its path, in order; keys are not texts."""
    if isinstance(value, str):
        yield path, value
    else:
        for inner_path, inner in _inside(value, path):
            yield from texts_in(inner, inner_path)


def carry_out(value: Any, verdicts: Mapping[str, Verdict], path: str = "") -> Any:
    """Give JSON with verdicts carried out on the texts and values under their paths.

    A dropped text takes the list item it stands in with it; one that stands in no list becomes empty.
    """
    verdict = verdicts.get(path)
    if verdict is not None and verdict.action is Action.FIX:
        return verdict.value
    if isinstance(value, str):
        dropped = verdict is not None and verdict.action is Action.DROP
        return "" if dropped else value if verdict is None else verdict.applied_to(value)
    if isinstance(value, list | tuple):
        return [carry_out(inner, verdicts, at) for at, inner in _inside(value, path) if not _drops(verdicts, at)]
    if isinstance(value, Mapping):
        keys = list(cast("Mapping[str, Any]", value))
        kept = (carry_out(inner, verdicts, at) for at, inner in _inside(value, path))
        return dict(zip(keys, kept, strict=True))
    return value


async def redacted(value: Any, guardrails: Iterable[Guardrail]) -> Any:
    """Carry out in a JSON value what guardrails say about its texts."""
    for guardrail in guardrails:
        verdicts = dict(await guardrail.check(GuardItem(stage=Stage.RUN_OUTPUT, value=value)))
        value = carry_out(value, verdicts) if verdicts else value
    return value


def emptied(value: Any, verdicts: Mapping[str, Verdict], path: str = "") -> dict[str, Verdict]:
    """Give the verdicts with each that would leave nothing of a text as one that drops it."""
    stripped = {at for at, verdict in verdicts.items() if verdict.action is Action.STRIP}
    texts = {at: text for at, text in texts_in(value, path) if at in stripped} if stripped else {}
    empty = [at for at, text in texts.items() if not verdicts[at].applied_to(text).strip()]
    return {**verdicts, **{at: verdicts[at].model_copy(update={"action": Action.DROP}) for at in empty}}


def _drops(verdicts: Mapping[str, Verdict], path: str) -> bool:
    """Say whether something in a list item is to be dropped, and not in a list further in."""
    return any(
        verdict.action is Action.DROP and (at == path or (at.startswith(f"{path}.") and "[" not in at[len(path) :]))
        for at, verdict in verdicts.items()
    )


def _inside(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield f"{path}.{key}" if path else str(key), inner
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield f"{path}[{index}]", inner
