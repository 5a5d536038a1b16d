"""What every node has, and the one way out of a node to models, tools and retrievers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel, BeforeValidator, Field, SerializeAsAny

from engine.definition.by_path import Component, Many
from engine.definition.call_bound import CallBound
from engine.definition.conversation import Turn
from engine.definition.guardrail import AnyGuardrail, GuardItem, Guardrail, Stage, Verdict
from engine.definition.named_code import guardrails_in
from engine.definition.passage import Retrieved
from engine.definition.policies import Breaker, Budget, Cache, Hedge, Retry
from engine.definition.prompt import Prompt
from engine.definition.question import Decision, Question
from engine.definition.state import State
from engine.definition.text_origin import Origins, Source, TextOrigin
from engine.definition.tool import ToolSignature
from engine.usage import Price, Usage

Effect = Literal["read", "idempotent", "once"]
"""What a tool does to the world: nothing, the same however often it is called, or something each time."""

Update = Mapping[str, Any]

_UNKNOWN: Origins = frozenset({TextOrigin.TOOL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A model's answer: its text, the JSON it holds where an object was asked for, and what it used."""

    text: str
    message: AIMessage
    data: Any = None
    finish_reason: str | None = None
    usage: Usage | None = None


class StepContext(Protocol):
    """What a node may do: every request to the outside goes through here, so it is journaled, budgeted and metered."""

    @property
    def run_id(self) -> str:
        """The run this step belongs to."""
        ...

    @property
    def node(self) -> str:
        """The name of the node in its workflow."""
        ...

    @property
    def feedback(self) -> Sequence[str]:
        """Why earlier answers of this step were turned down, oldest first."""
        ...

    @property
    def kept(self) -> dict[str, Any]:
        """What the node keeps between an answer that was turned down and the next; empty when the step begins."""
        ...

    @property
    def sources(self) -> Sequence[Source]:
        """What the state holds and what it was made of, with those who had a part in it."""
        ...

    async def generate(
        self,
        role: str,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        max_input_tokens: int | None = None,
        output: type[BaseModel] | None = None,
        stream: bool = False,
        prompt: Prompt | None = None,
        tools: Sequence[ToolSignature] = (),
        leaving_another: bool = False,
        left_out: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        falls_back_when_too_long: bool = True,
        skip_first: bool = False,
    ) -> Reply:
        """Ask the model that plays a role; tokens are clamped to what the budget has left.

        `tools` are what the model may ask to be called; the reply's message says which. `leaving_another` refuses a
        request that would not leave enough of the budget for another like it. `left_out` is JSON that the ledger keeps
        with the request: what the model was not told. `purpose` is what the request is made for, if not what the node
        is for. A node that can say less first has a request that is too long raised rather than given to the models
        behind the first, and then asks only these with `skip_first`.
        """
        ...

    def note(self, what: str) -> None:
        """Write down what the step did without, or did instead of its best; what it wrote is not kept in a cache."""
        ...

    def routed(self, asked: Sequence[str], *, among: Sequence[str], usage: Usage | None) -> None:
        """Write down which roles were asked, and what it saved not to ask the dearest for an answer of such a usage."""
        ...

    async def turns(self, last: int, *, inside: str | None = None) -> Sequence[Turn]:
        """Give the newest turns that the conversation had when the run began, the oldest first.

        `inside` names a step inside this one: each turn tells what that step wrote in its run.
        """
        ...

    async def call_tool(
        self,
        tool: Any,
        arguments: Mapping[str, Any],
        *,
        effect: Effect = "once",
        probe: Any = None,
        backup: Any = None,
        approval: str | None = None,
        wait_seconds: float | None = None,
        guard_arguments: Sequence[Guardrail] = (),
        guard_answer: Sequence[Guardrail] = (),
        sources: Sequence[Source] | None = None,
        restores: bool = False,
    ) -> Any:
        """Call a typed function or LangChain tool; arguments are checked first, the answer is JSON.

        Where nobody knows whether a tool that acts once has acted, `probe` is asked: a function that gets the
        idempotency key and gives the tool's answer, or None if it has not acted. `backup` is a tool with the same
        parameters, called when this one fails and surely has not acted. `approval` is what a person is asked
        before the call: they see the tool and its arguments, and the run waits for them, `wait_seconds` at the most; a
        no, or no answer in time, raises `Refused`.

        `guard_arguments` have said yes before anything is sent, `guard_answer` before the answer is given; a block
        raises `GuardrailBlocked`. `sources` are what the arguments may have been taken from, if that is more than the
        state holds. With `restores` the tool gets what tokens in its arguments stand for; nobody else does.
        """
        ...

    async def call_runnable(
        self,
        runnable: Any,
        value: Any,
        *,
        effect: Effect = "once",
        max_tokens: int = 4096,
        prices: Mapping[str, Price] | None = None,
    ) -> Any:
        """Call a LangChain Runnable, named by its import path, as a whole; the answer is JSON.

        Each model that it asks is a call of its own, on the run's account: reserved with `max_tokens` where the model
        does not say how long its answer may be, and charged by `prices` (by model name) or the catalogue.
        """
        ...

    async def retrieve(
        self, retriever: Any, query: str, *, top_k: int, arguments: Mapping[str, Any] | None = None
    ) -> Retrieved:
        """Ask a retriever for the passages that fit a query best."""
        ...

    async def visit(self, name: str, node: "Node", inputs: Mapping[str, Any], *, item: int | None = None) -> Update:
        """Run another node as a step inside this one, for an item of a list or for the whole of it.

        One that had finished when the run stopped is not run again: what it wrote is read off the ledger.
        """
        ...

    async def walk(self, workflow: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a workflow inside this step, within its own budget and the run's, and give the fields it returns."""
        ...

    async def ask(self, question: Question) -> Decision:
        """Give what a person decided; as long as nobody has, the run stops here and waits, without a process."""
        ...

    def emit(self, name: str, data: Any = None) -> None:
        """Tell whoever listens something of the node's own, JSON; it is kept in the ledger.

        No guardrail sees it, and a step that runs again tells it again.
        """
        ...

    async def examine(self, guardrail: Guardrail, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Ask a guardrail and write down what it says: verdicts with the path of what each is about."""
        ...

    def now(self) -> datetime:
        """Tell when the step began, aware and in UTC; the same when it runs again."""
        ...

    def random(self) -> float:
        """Draw a number from 0 to 1; the same when the step runs again."""
        ...


class Node(Component):
    """A step of a workflow: says what it reads and writes, and does its work in `run`.

    A kind of your own is one subclass: fields for its data, `reads`, `writes` and `run`.
    """

    input_stage: ClassVar[Stage] = Stage.NODE_INPUT
    output_stage: ClassVar[Stage] = Stage.NODE_OUTPUT
    brings: ClassVar[TextOrigin | None] = TextOrigin.TOOL
    """Who speaks in what it writes, besides those who speak in what it reads; code of your own may ask anybody."""
    purpose: ClassVar[str] = "answer"
    """What its calls are made for, in the ledger."""

    may_be_cached: ClassVar[bool] = True
    is_check: ClassVar[bool] = False

    retry: Retry = Retry()
    """How often a failed call is tried again."""
    breaker: Breaker = Breaker()
    """When a failing target is left alone."""
    hedge: Hedge | None = None
    """Whether a call that takes long is made once more beside it; never one that acts once or is listened to."""
    fallback: str | None = None
    """The node that takes over when this one fails."""
    fallback_on: Many[str] = ()
    """The kinds of errors for which it takes over, as in "rate_limited"; every one that allows it if not given."""
    canned: Mapping[str, Any] | None = None
    """What the node writes when all else has failed or the budget is used up, by field; the step is marked `canned`."""
    cache: Cache | None = None
    """Whether and how long what this node wrote may be used again for the same inputs."""
    seconds: float | None = Field(default=None, gt=0)
    """The longest that one visit may take."""
    budget: Budget | None = None
    """The most that one visit may spend, out of what the run has left."""
    call_seconds: float = Field(default=60.0, gt=0)
    """The longest that one attempt of one call may take."""
    guard_input: Many[AnyGuardrail] = ()
    """Guardrails for what the node reads."""
    guard_output: Many[AnyGuardrail] = ()
    """Guardrails for what the node writes."""
    max_visits: int | None = Field(default=None, ge=1)
    """How often a run may come here; a loop needs it on one of its nodes."""
    reasks: int = Field(default=1, ge=0, le=5)
    """How often the node may be run again because a guardrail or a schema turned its answer down."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields of the state that `run` gets."""
        return ()

    @property
    def writes(self) -> Mapping[str, Any]:
        """The fields of the state that `run` returns, each with the type it writes; Any is "not known"."""
        return {}

    @property
    def roles(self) -> tuple[str, ...]:
        """The model roles that the node asks."""
        return ()

    @property
    def prompts(self) -> Sequence[Prompt]:
        """What the author has the node, or those inside it, say to models."""
        return ()

    @property
    def hears_history(self) -> bool:
        """Whether the node, or one inside it, reads the conversation that the run belongs to."""
        return False

    @property
    def tool_name(self) -> str | None:
        """The tool that the node calls, by name."""
        return None

    def arguments(self, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Give what the tool will get of its inputs, by parameter; None where the node calls no tool by itself."""
        del inputs
        return None

    @property
    def guardrails(self) -> Iterable[Guardrail]:
        """Those that look at something in its own step, wherever it holds them."""
        return guardrails_in(self)

    @property
    def calls_per_visit(self) -> int:
        """The most calls that one run of the node makes, attempts not counted."""
        return 0

    @property
    def has_budget_in_usd(self) -> bool:
        """Whether it, or a workflow inside it, has a budget in USD of its own."""
        return self.budget is not None and self.budget.usd is not None

    @property
    def model_calls(self) -> Sequence[CallBound]:
        """The most that one run of the node asks of models, attempts counted and re-asks not."""
        calls = self.calls_per_visit * self.retry.attempts
        most, most_read = getattr(self, "max_tokens", 0), getattr(self, "max_input_tokens", None)
        return [CallBound("", role, calls, most, most_read) for role in self.roles]

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """Say where what it writes comes from, by field, given where the fields of the state come from."""
        return dict.fromkeys(self.writes, self._origins(held))

    def origins_inside(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """Say the same of what steps inside it are given under names that are not fields of the state."""
        del held
        return {}

    def _origins(self, held: Mapping[str, Origins]) -> Origins:
        brought: Origins = frozenset({self.brings} if self.brings else ())
        return brought.union(*(held.get(name, _UNKNOWN) for name in self.reads))

    def faults(self, state: type[State]) -> list[str]:
        """Say what this kind of node finds wrong with its own fields, a sentence each."""
        del state
        return []

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Do the work: get the fields of `reads` as JSON, return the fields of `writes`."""
        raise TypeError(f"{type(self).__name__} has no run")


AnyNode = Annotated[SerializeAsAny[Node], BeforeValidator(Node.load)]
"""A field that holds a node of any kind."""
