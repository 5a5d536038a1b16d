"""What passes through the stacks: the run, a step of it, a call of a step, and the answer to a call."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, Protocol

from langchain_core.messages import BaseMessage

from engine.definition.conversation import Turn
from engine.definition.judge import Judge, Opinion
from engine.definition.node import Node
from engine.definition.policies import Budget, Similar
from engine.definition.routes import Route
from engine.definition.state import StateField
from engine.definition.workflow import Workflow
from engine.models.charges import Charges
from engine.outbox import Outbox
from engine.ports import Clock, Ledger
from engine.records import CallRecord, QuestionRecord, Record, RunRecord, StepRecord
from engine.runtime.answer import Answer
from engine.runtime.early_ends import EarlyEnds
from engine.runtime.earned import Earned
from engine.runtime.events import Event, Listener, TextDelta, TextReset
from engine.runtime.history import RunJournal
from engine.runtime.leaving import Leaving
from engine.runtime.tape import StepKey, Tape
from engine.runtime.vault import Vault
from engine.usage import Account, Amount, KeptAccount, Usage

Facts = ParamSpec("Facts")


class Target(Protocol):
    """Where a call goes: a model, a tool, a retriever or a runnable."""

    @property
    def name(self) -> str:
        """Names the target for breakers and messages."""
        ...

    @property
    def identity(self) -> Any:
        """What makes its answers other than another's, JSON."""
        ...

    def bound(self, call: "Call", account: Account) -> Amount:
        """Say the most that one attempt can spend; may lower what the call asks for to what is left."""
        ...

    def describe(self, call: "Call", record: CallRecord) -> None:
        """Fill in what is known before the attempt."""
        ...

    def cost(self, call: "Call", usage: Usage) -> tuple[int | None, str, str | None]:
        """Give nano-USD (None if unknown), where the price is from, and the catalogue's id."""
        ...

    async def send(self, call: "Call") -> Answer:
        """Make one attempt.

        Raises:
            CallError: it failed, by kind.
        """
        ...

    def restore(self, call: "Call", response: Any) -> Answer:
        """Give the answer again that was once written down as this JSON."""
        ...


class PricedTarget(Target, Protocol):
    """A target whose price is known before it is asked: a model."""

    def priced(self, usage: Usage, at: datetime) -> int | None:
        """Say what a usage would cost (nano-USD); None if that is not known."""
        ...


@dataclass(slots=True, kw_only=True)
class Run:
    """One run in progress.

    Attributes:
        kept: the accounts of nodes for which the budget keeps something.
        retries: further attempts that the targets of this process have earned, and `hedges` attempts beside others.
        tape: what a replay is answered from; None where it is none.
        embed: gives the vector of a text, as a call of a step.
        ask_judge: asks a judge of a guardrail, which is named, as a call of a step.
        walk: runs the graph of a workflow from a state to its end, inside a step.
        pause: makes what a step raises when it waits for a person; others at its side go on to their end.
        vault: its tokens, and what they stand for.
        failure: what failed last, and where: `failed_node`.
        questions: what people were asked, by id.
        waits_for: the ids of those that it waits for now.
        ends_ns: when its time is over, by the clock's count.
        leaving: whether it is to stop before its next step.
        guard_times: how many checks of a guardrail took so many nanoseconds.
        turns: what was read of the conversation, by how many turns and the step that was asked for.
    """

    record: RunRecord
    workflow: Workflow
    ledger: Ledger
    clock: Clock
    account: Account
    kept: Mapping[str, KeptAccount]
    seconds: float | None
    outbox: Outbox
    journal: RunJournal
    breakers: Any
    admission: Any
    retries: Earned
    hedges: Earned
    spending: Any
    budget: Budget
    cache: Any
    targets_of: Callable[[str], Sequence[PricedTarget]]
    charges: Charges
    tape: Tape | None
    embed: "Callable[[Step, Similar, str], Awaitable[str]]"
    ask_judge: "Callable[[Step, Judge, Sequence[BaseMessage], str], Awaitable[Opinion]]"
    walk: "Callable[[Scope, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]"
    pause: Callable[[], BaseException]
    vault: Vault
    control_flow: tuple[type[BaseException], ...] = ()
    listener: Listener | None = None
    bundle_hash: str = ""
    cost_nano_usd: int = 0
    cost_known: bool = True
    failed_node: str | None = None
    failure: BaseException | None = None
    questions: dict[str, QuestionRecord] = field(default_factory=dict[str, QuestionRecord])
    waits_for: set[str] = field(default_factory=set[str])
    guard_times: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    turns: dict[tuple[int, str | None], Sequence[Turn]] = field(
        default_factory=dict[tuple[int, str | None], Sequence[Turn]]
    )
    is_waiting: bool = False
    has_warned: bool = False
    is_admitted: bool = False
    worked_ns: int = 0
    ends_ns: int | None = None
    leaving: Leaving = field(default_factory=Leaving)
    last_seq: int = 0
    last_part: int = 0

    def next_seq(self) -> int:
        """Count what happens and is written down."""
        self.last_seq, self.last_part = self.last_seq + 1, 0
        return self.last_seq

    def next_part(self) -> int:
        """Count what happens in between and is only heard."""
        self.last_part += 1
        return self.last_part

    def tell(self, view: Callable[Facts, Event], *facts: Facts.args, **more: Facts.kwargs) -> None:
        """Tell the listener what something looks like as an event; where nobody listens none is made."""
        if self.listener is not None:
            self.listener(view(*facts, **more))

    def redacted(self, value: Any) -> Any:
        """Give JSON without what the app redacts."""
        return self.outbox.redacted(value)

    def keep(self, value: Any) -> str:
        """Queue a JSON value for the ledger and give what stands for it in a column."""
        return self.outbox.keep(value)

    def write(self, records: Iterable[Record]) -> None:
        """Queue records for the ledger."""
        self.outbox.add(records)

    async def commit(self, row: CallRecord) -> None:
        """Write a call and all that is queued, and wait until it is durable."""
        self.outbox.add((row,))
        await self.ledger.write(self.outbox)

    def spend(self, row: CallRecord) -> None:
        """Add an attempt to the totals of the run; one unknown cost makes the whole unknown."""
        self.record.calls += 1
        self.record.usage_input_tokens += row.usage_input_tokens or 0
        self.record.usage_output_tokens += row.usage_output_tokens or 0
        self.cost_nano_usd += row.cost_nano_usd or 0
        self.cost_known = self.cost_known and row.cost_nano_usd is not None


@dataclass(slots=True, kw_only=True)
class Scope:
    """What the steps of a workflow share: the run's own, or those inside one of its steps.

    Attributes:
        account: what they may spend; one of a sub-workflow draws from the one above.
        parent: the step inside which they run; None for the run's own.
        waits: its nodes that wait for a person, in themselves or in a step inside them, and the ids of the questions.
        ends: which ways of the graph ended early.
        kept: the accounts of nodes for which something is kept.
    """

    run: Run
    workflow: Workflow
    account: Account
    parent: "Step | None" = None
    waits: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    ends: EarlyEnds = field(default_factory=EarlyEnds)
    kept: Mapping[str, KeptAccount] = field(default_factory=dict[str, KeptAccount])

    @property
    def budget(self) -> Budget:
        """What the account is for: what the run was given, or the sub-workflow's own."""
        return self.run.budget if self.parent is None else self.workflow.budget

    @property
    def waits_for(self) -> set[str]:
        """The ids of the questions that its nodes wait for."""
        return set[str]().union(*self.waits.values())


@dataclass(slots=True, kw_only=True)
class Step:
    """One visit of a node in progress.

    Attributes:
        run: the run of the scope.
        name: the node, behind the names of the steps that it is inside of.
        way: what follows the node; None where the step around it decides.
        gives_up_to: the join to which an optional way around the node goes on if it fails.
        gives_up: whether that way has failed here.
        fields: the fields that its update may go to.
        task_id: LangGraph's name for it.
        began_at: when it first began; the same when it runs again.
        kept: what its node keeps when it is asked again.
        spent: what its own calls were charged.
        ends_ns: when the time of its node is over, by the clock's count.
        forced: fields that a replay sets here.
        has_said: whether a listener heard text of it.
        asked: how often it has asked a person the same, by digest.
        judged: about how many texts it has asked each judge.
        waits_for: the ids of the questions that it, or a step inside it, waits for.
    """

    scope: Scope
    run: Run
    name: str
    node: Node
    way: Route | None
    fields: Mapping[str, StateField]
    record: StepRecord
    state: Mapping[str, Any]
    inputs: Mapping[str, Any]
    writes: frozenset[str]
    task_id: str
    began_at: datetime
    goto: tuple[str, ...] = ()
    gives_up_to: str | None = None
    gives_up: bool = False
    feedback: list[str] = field(default_factory=list[str])
    kept: dict[str, Any] = field(default_factory=dict[str, Any])
    draws: int = 0
    calls: int = 0
    asked: Counter[str] = field(default_factory=Counter[str])
    judged: Counter[Judge] = field(default_factory=Counter[Judge])
    waits_for: set[str] = field(default_factory=set[str])
    has_said: bool = False
    spent: Amount = field(default_factory=Amount)
    ends_ns: int | None = None
    forced: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _account: Account | None = None

    @property
    def account(self) -> Account:
        """What it may spend: its node's own budget, out of what the steps around it share."""
        if self.node.budget is None:
            return self.shared_account
        if self._account is None:
            self._account = Account(self.node.budget.limits(), parent=self.shared_account)
        return self._account

    @property
    def key(self) -> StepKey:
        """Where it stands in any run of its workflow."""
        around = () if self.scope.parent is None else self.scope.parent.key
        return (*around, (self.name, self.record.visit, self.record.item))

    @property
    def shared_account(self) -> Account:
        """What the visits of its node may spend together: what is kept for it, and what the others leave."""
        scope = self.scope
        return scope.kept.get(self.name.rpartition("/")[2], scope.account) if scope.kept else scope.account

    @property
    def seconds_left(self) -> float | None:
        """How long it may still take by its own time, that of the steps around it and the run's; None is for ever."""
        ends = [at for at in (self.ends_ns, self.run.ends_ns) if at is not None]
        here = None if not ends else (min(ends) - self.run.clock.monotonic_ns()) / 1e9
        outer = self.scope.parent.seconds_left if self.scope.parent is not None else None
        known = [seconds for seconds in (here, outer) if seconds is not None]
        return min(known) if known else None

    def say(self, call_id: str, text: str) -> None:
        """Let a listener hear a piece of text."""
        self.has_said = True
        self._tell(TextDelta, call_id=call_id, text=text)

    def unsay(self, call_id: str | None = None) -> None:
        """Take back what a listener heard of a call, or of the whole step."""
        if self.has_said:
            self._tell(TextReset, call_id=call_id)

    def _tell(self, event: Callable[..., Event], **fields: Any) -> None:
        run = self.run
        run.tell(
            event,
            run_id=run.record.run_id,
            seq=run.last_seq,
            part=run.next_part(),
            at=run.clock.now(),
            step_id=self.record.step_id,
            node=self.name,
            **fields,
        )


@dataclass(slots=True, kw_only=True)
class Call:
    """One request of a step in progress; an attempt of it when `record` is set.

    Attributes:
        request: JSON that says what is asked; with the target it makes the hash.
        payload: what the target needs to send it.
        asked_tokens: the most output tokens that the node allows.
        max_tokens: the same, clamped to what the budget has left.
        leaves_another: whether the budget must have enough left for another such call.
        recorded: the attempt of the recorded run that answers this one in a replay.
        waited_ns: how long the attempt waited for room in rate limits.
    """

    step: Step
    targets: Sequence[Target]
    operation: str
    role: str
    request: Any
    request_hash: str
    payload: Any
    ordinal: int
    asked_tokens: int = 0
    max_tokens: int = 0
    leaves_another: bool = False
    attempt: int = 0
    target_index: int = 0
    waited_ns: int = 0
    recorded: CallRecord | None = None
    reservation: Amount = field(default_factory=Amount)
    diverged_from: str | None = None
    record: CallRecord | None = None
    request_sha: str | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def target(self) -> Target:
        """The target that is asked now."""
        return self.targets[self.target_index]

    @property
    def run(self) -> Run:
        """The run that this call belongs to."""
        return self.step.run


def kept_accounts(budget: Budget, account: Account) -> dict[str, KeptAccount]:
    """Keep of an account what a budget says, and give the accounts of the nodes."""
    return {name: KeptAccount.of(account, amount) for name, amount in budget.kept().items()}


StepNext = Callable[[Step], Awaitable[Mapping[str, Any]]]
CallNext = Callable[[Call], Awaitable[Answer]]
