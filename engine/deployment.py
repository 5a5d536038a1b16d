"""A deployment: the workflows, who plays which role, in which database, and the parts that are made of these."""

import os
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from functools import cached_property
from typing import Any, Self, cast

from langchain_core.language_models import BaseChatModel

from engine.definition.bounds import model_calls
from engine.definition.call_bound import CallBound
from engine.definition.guardrail import Guardrail
from engine.definition.policies import Budget
from engine.definition.redaction import Redaction
from engine.definition.spend_limit import SpendLimit
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError
from engine.models.cast import Cast
from engine.models.charges import Charges
from engine.models.prices import PriceCatalogue
from engine.models.roles import BoundModel, Model
from engine.ports import Clock, Dispatcher, Indexer
from engine.runtime.bundle import bundle_of, check_each
from engine.runtime.clock import SystemClock
from engine.runtime.collector import settle
from engine.runtime.limits_for_nobody import refuse_limits_for_nobody
from engine.runtime.middleware.admission import Admission
from engine.runtime.middleware.breaker import Breakers
from engine.runtime.quiet_logs import QuietLogs
from engine.runtime.rate_limit import RateLimit
from engine.runtime.runner import Runner
from engine.runtime.stream import Streams
from engine.runtime.targets.model import ModelTarget
from engine.runtime.vault import ENVIRONMENT, TokenKey
from engine.store.lease_time import LEASE_SECONDS, checked_lease
from engine.store.ledger import SqlLedger
from engine.store.prices import read_prices
from engine.store.run_ledger import KeepCheckpoints

DEFAULT_DATABASE = "sqlite:///runs.db"


class Deployment:
    """What a deployment chooses: which workflows, which model plays which role, in which database.

    FLOWLEDGER_DATABASE, _DISPATCHER, _LEASE_SECONDS and _MODEL_<ROLE> win over what is written here.

    Args:
        workflows: the workflows, each under a name of its own.
        models: the model of each role: a Model, a LangChain chat model, "provider:model" or "embedded".
        database: where the ledger is: sqlite:///FILE or postgresql://...
        keep_checkpoints: the last one of each run that has not succeeded (`unfinished`), or `all`; the ledger is kept
            always.
        spend_limits: what tenants, users, workflows or the app may spend in a window of time.
        indexer: builds collections of documents for `flowledger index`.
        dispatcher: who tells workers of queued runs: nats://HOST/NAME, postgresql://..., `local` or one of your own.
        lease_seconds: 1 to 900; a worker unheard of for so long is taken for dead, and its runs go to others. All
            processes on a ledger should have the same.
        limits: what providers ("openai") and targets ("openai:gpt-5-mini") allow; calls wait for room.
        evaluation: an Evaluation: what redacts cases and tapes, and what scores which workflow.
        alarms: figures that workers watch, each an Alarm, and who is told of them.
        redact: guardrails whose masks and cuts are carried out in every direction: in what runs are given, what models,
            tools and retrievers answer, what errors say, and whatever is stored or logged.
        token_key: what guardrails that hash or tokenise make their tokens with; FLOWLEDGER_TOKEN_KEY wins. It is
            written nowhere.
        clock: time, ids and chance; a test brings its own.

    Raises:
        ConfigurationError: two workflows share a name, a workflow needs a role that no model plays, or no worker could
            keep the lease.
    """

    def __init__(
        self,
        *,
        workflows: Iterable[Workflow],
        models: Mapping[str, Model | str | BaseChatModel] | None = None,
        database: str = DEFAULT_DATABASE,
        keep_checkpoints: KeepCheckpoints = "unfinished",
        spend_limits: Sequence[SpendLimit] = (),
        indexer: Indexer | None = None,
        dispatcher: Dispatcher | str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        limits: Mapping[str, RateLimit] | None = None,
        evaluation: Any = None,
        alarms: Any = (),
        redact: Sequence[Guardrail] = (),
        token_key: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.workflows: dict[str, Workflow] = {}
        for workflow in workflows:
            if workflow.name in self.workflows:
                raise ConfigurationError(f"two workflows are called {workflow.name!r}: give each a name of its own")
            self.workflows[workflow.name] = workflow
        self.models = dict(models or {})
        self.database = os.environ.get("FLOWLEDGER_DATABASE") or database
        self.keep_checkpoints: KeepCheckpoints = keep_checkpoints
        self.spend_limits = tuple(spend_limits)
        self.indexer = indexer
        self.dispatcher = os.environ.get("FLOWLEDGER_DISPATCHER") or dispatcher
        self.lease_seconds = checked_lease(os.environ.get("FLOWLEDGER_LEASE_SECONDS") or lease_seconds)
        self.limits = dict(limits or {})
        self.evaluation = evaluation
        if not isinstance(alarms, list | tuple):
            raise ConfigurationError(f"alarms={alarms!r} is no list of alarms: write alarms=[Alarm(...)]")
        self.alarms: Sequence[Any] = tuple(cast("Sequence[Any]", alarms))
        self.redaction = Redaction(redact) if redact else None
        self._quiet_logs: QuietLogs | None = None
        self._token_key = os.environ.get(ENVIRONMENT) or token_key
        self.clock: Clock = clock or SystemClock()
        self.charges = Charges(PriceCatalogue())  # with the ledger's own prices, once that is open
        self._ledger: SqlLedger | None = None
        self._runner: Runner | None = None
        self._cast = Cast(self.models)
        self._versions: dict[str, Workflow] = {}  # those that were read from the ledger
        self._last_answers: dict[str, str] = {}  # what tools answered that replays do not call
        self._streams = Streams(self.clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def ledger(self) -> SqlLedger:
        """The ledger, opened on first use.

        Raises:
            ConfigurationError: the address of the database cannot be used.
            StoreError: the database cannot be opened.
        """
        if self._ledger is None:
            self._quiet_logs = QuietLogs(self.redaction) if self.redaction else None
            self._ledger = SqlLedger.open(
                self.database,
                self.dispatcher,
                self.clock.random,
                keep=self.keep_checkpoints,
                lease_seconds=self.lease_seconds,
            )
            self.charges = Charges(PriceCatalogue(dated=read_prices(self._ledger.database)))
        return self._ledger

    @cached_property
    def token_key(self) -> TokenKey | None:
        """The key for tokens.

        Raises:
            ConfigurationError: what was given is none.
        """
        return TokenKey(self._token_key) if self._token_key else None

    def workflow(self, name: str) -> Workflow:
        """Give the workflow of a name.

        Raises:
            ConfigurationError: there is none; the message names those that there are.
        """
        if name not in self.workflows:
            known = ", ".join(sorted(self.workflows)) or "none"
            raise ConfigurationError(f"there is no workflow {name!r}; the workflows of this app are: {known}")
        return self.workflows[name]

    def models_of(self, role: str) -> Sequence[BoundModel]:
        """Give the models that play a role, the backups behind the first.

        Raises:
            ConfigurationError: none is named, or one cannot be made.
        """
        return self._cast.of(role)

    def check_models(self, workflows: Collection[str] | None = None) -> None:
        """Make the clients of every model that some workflows need, all if none are named.

        Raises:
            ConfigurationError: one cannot be made, a price is missing that a budget needs, or a limit is for nobody.
        """
        check_each(self._bundle, [self.workflow(name) for name in workflows or self.workflows])
        if workflows is None:
            self.check_limits()

    def check_limits(self) -> None:
        """See that each limit is for a model that a workflow asks.

        Raises:
            ConfigurationError: one is for nobody.
        """
        refuse_limits_for_nobody(self.limits, self.workflows.values(), self.models_of)

    def worst_case(self, workflow: Workflow) -> list[tuple[CallBound, int | None]]:
        """Give the most model calls of each node in a run, and the most they can cost (nano-USD, None: no bound)."""
        return self.charges.worst_cases(model_calls(workflow), self.models_of, self.clock.now())

    async def close(self) -> None:
        """Write what is queued, and close the database and the connections to models; the next run opens them anew."""
        await self._leave_models()
        ledger, self._ledger = self._ledger, None
        if self._quiet_logs is not None:
            self._quiet_logs.take_back()
            self._quiet_logs = None
        if ledger is not None:
            await ledger.close()

    @asynccontextmanager
    async def with_models(self, models: Mapping[str, Model | str]) -> AsyncGenerator[Self]:
        """Give the app with other models in some roles, whatever it or the environment says; the ledger is shared."""
        _ = self.ledger
        other = self._cast_with(models)
        try:
            yield other
        finally:
            await other._leave_models()

    @asynccontextmanager
    async def in_memory(self, models: Mapping[str, Model | str]) -> AsyncGenerator[Self]:
        """Give the app on a ledger of its own that nothing is left of, with these models in these roles."""
        other = self._cast_with(models)
        other._ledger = SqlLedger.open("sqlite:///:memory:", None, self.clock.random, keep="unfinished")
        other._versions = {}
        try:
            yield other
        finally:
            await other.close()

    def _cast_with(self, models: Mapping[str, Model | str]) -> Self:
        other = copy(self)
        other._runner, other._cast = None, Cast(self.models, instead=models)
        return other

    async def _leave_models(self) -> None:
        await self._cast.close()
        if self._runner is not None:
            await self._runner.breakers.close()
            await self._runner.admission.close()
        self._runner = None

    def _running(self) -> Runner:
        if self._runner is None:
            settle()
            self._runner = Runner(
                ledger=self.ledger,
                clock=self.clock,
                targets_of=lambda role: [ModelTarget(model, self.charges) for model in self.models_of(role)],
                charges=self.charges,
                breakers=Breakers(self.clock, self.ledger),
                spend_limits=self.spend_limits,
                admission=Admission(self.clock, self.ledger, self.limits),
                redaction=self.redaction,
                token_key=self.token_key,
            )
        return self._runner

    def _bundle(self, workflow: Workflow, budget: Budget | None = None) -> dict[str, Any]:
        _ = self.ledger  # it has prices of its own
        in_usd = (
            bool(self.spend_limits)
            or (budget or workflow.budget).usd is not None
            or any(node.has_budget_in_usd for node in workflow.nodes.values())
        )
        return bundle_of(workflow, self.models_of, self.charges, self.clock.now(), in_usd=in_usd)
