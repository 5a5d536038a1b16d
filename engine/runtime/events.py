"""What a listener hears while a run runs, each event with its place in the run."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from engine.runtime.result import RunResult

Place = tuple[int, int]
"""Where an event stands in its run: its number, and which piece of text after that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something happened in a run.

    Attributes:
        seq: counts the events that the ledger keeps, from 1; a piece of text has the number of the one before it.
        part: counts the pieces of text since that one, from 1; 0 for what the ledger keeps.
        at: when, aware and in UTC.
    """

    run_id: str
    seq: int
    at: datetime
    part: int = 0

    @property
    def place(self) -> Place:
        """Where it stands; later ones are greater."""
        return self.seq, self.part

    @property
    def cursor(self) -> str:
        """What `after=` takes to go on behind it: `12`, or `12-3` for the third piece of text after it."""
        return f"{self.seq}-{self.part}" if self.part else str(self.seq)

    def to_json(self) -> dict[str, Any]:
        """Give the object that `flowledger run --events` prints."""
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(self).__name__)
        plain = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name != "part"}
        return {"event": name.lstrip("_"), "cursor": self.cursor, **plain}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """A process has the run, and it is in the ledger: whoever knows its id can ask for it again."""

    workflow: str
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent(RunEvent):
    """Something happened to a step.

    Attributes:
        node: its name, behind the names of the steps that it is inside of: `research/each/draft`.
        parent: the id of the step inside which it runs.
        item: which item of a list it is for, from 0.
        attempt: how often this visit has begun; a resumed run may begin one again.
    """

    step_id: str
    node: str
    visit: int
    attempt: int
    parent: str | None
    item: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(StepEvent):
    """A node is visited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(StepEvent):
    """A visit ended: ok, failed, cancelled, or it waits for a person."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(RunEvent):
    """Something happened to an attempt of a call; what is asked and answered stands in the ledger, not here.

    Attributes:
        operation: chat, execute_tool or retrieval.
        role: what the node calls it: the role of a model, the name of a tool, the path of a retriever.
        name: the model or tool that is asked.
        attempt: counts the tries at this call, from 1.
    """

    step_id: str
    node: str
    call_id: str
    operation: str
    role: str
    name: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallEvent):
    """An attempt is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(CallEvent):
    """An attempt ended; tokens and cost (nano-USD) are None where they are not known."""

    status: str
    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(RunEvent):
    """A model wrote a piece of its answer."""

    step_id: str
    node: str
    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReset(RunEvent):
    """What was written is void: by this attempt, or by the whole step where no call is named."""

    step_id: str
    node: str
    call_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomEvent(RunEvent):
    """A node told something of its own; the data are JSON."""

    step_id: str
    node: str
    name: str
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(RunEvent):
    """A person is asked; the run waits once all else is done."""

    step_id: str
    node: str
    question_id: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(RunEvent):
    """The run came to an end here: the last event of a stream. It may wait for a person, or have failed."""

    result: RunResult


Event = (
    RunStarted
    | StepStarted
    | StepFinished
    | CallStarted
    | CallFinished
    | TextDelta
    | TextReset
    | CustomEvent
    | QuestionAsked
    | RunFinished
)
Listener = Callable[[Event], None]


def _plain(value: Any) -> Any:
    if isinstance(value, RunResult):
        return value.to_json()
    return value.isoformat() if isinstance(value, datetime) else value
