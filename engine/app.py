"""App: binds workflows, models and a database; the one place that knows all parts."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from langchain_core.language_models import BaseChatModel

from engine.definition.bounds import CallBound, model_calls
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError
from engine.models.charges import Charges
from engine.models.prices import PriceCatalogue
from engine.models.roles import BoundModel, Model, bind, role_from_environment
from engine.ports import Clock, Indexer
from engine.runtime.clock import SystemClock
from engine.runtime.events import Listener
from engine.runtime.middleware.breaker import Breakers
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.result import RunResult
from engine.runtime.runner import Origin, Runner
from engine.runtime.targets.model import ModelTarget
from engine.store.database import Database
from engine.store.ledger import SqlLedger

DEFAULT_DATABASE = "sqlite:///runs.db"


class App:
    """What a deployment chooses: which workflows, which model plays which role, in which database.

    FLOWLEDGER_DATABASE and FLOWLEDGER_MODEL_<ROLE> win over what is written here. The database is opened at the first
    run; close the app, or use it as `async with App(...) as app`.

    Args:
        workflows: the workflows, each under a name of its own.
        models: the model of each role: a Model, a LangChain chat model, "provider:model" or "embedded".
        database: where the ledger is: sqlite:///FILE or postgresql://...
        indexer: builds collections of documents for `flowledger index`.
        clock: time, ids and chance; a test brings its own.

    Raises:
        ConfigurationError: two workflows share a name, or a workflow needs a role that no model plays.
    """

    def __init__(
        self,
        *,
        workflows: Iterable[Workflow],
        models: Mapping[str, Model | str | BaseChatModel] | None = None,
        database: str = DEFAULT_DATABASE,
        indexer: Indexer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.workflows: dict[str, Workflow] = {}
        for workflow in workflows:
            if workflow.name in self.workflows:
                raise ConfigurationError(f"two workflows are called {workflow.name!r}: give each a name of its own")
            self.workflows[workflow.name] = workflow
        self.models = dict(models or {})
        self.database = os.environ.get("FLOWLEDGER_DATABASE") or database
        self.indexer = indexer
        self.clock: Clock = clock or SystemClock()
        self._charges = Charges(PriceCatalogue())
        self._ledger: SqlLedger | None = None
        self._runner: Runner | None = None
        self._bound: dict[str, Sequence[BoundModel]] = {}

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
            self._ledger = SqlLedger(Database.open(self.database))
        return self._ledger

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
        if role not in self._bound:
            model = role_from_environment(role) or self.models.get(role)
            if model is None:
                variable = f"FLOWLEDGER_MODEL_{role.upper().replace('-', '_')}"
                raise ConfigurationError(
                    f"no model plays the role {role!r}: give it in App(models={{{role!r}: ...}}) or set {variable}"
                )
            self._bound[role] = bind(role, model)
        return self._bound[role]

    async def run(
        self,
        workflow: str,
        given: Mapping[str, Any] | None = None,
        *,
        tenant: str | None = None,
        user: str | None = None,
        conversation_id: str | None = None,
        listener: Listener | None = None,
    ) -> RunResult:
        """Run a workflow to its end and give its result; a run that fails is a result too.

        Raises:
            ConfigurationError: there is no such workflow, or a model of it cannot be asked.
            InputError: the input does not fit the workflow's state.
            StoreError: the ledger cannot be written.
        """
        found = self.workflow(workflow)
        bundle = self._bundle(found)
        origin = Origin(
            tenant=tenant,
            user_id=user,
            conversation_id=conversation_id,
            engine_version=engine_version(),
            git_commit=git_commit(),
        )
        return await self._running().run(found, given or {}, bundle=bundle, origin=origin, listener=listener)

    def run_sync(self, workflow: str, given: Mapping[str, Any] | None = None, **options: Any) -> RunResult:
        """Run a workflow from code that is not async, and close the app."""

        async def run() -> RunResult:
            async with self:
                return await self.run(workflow, given, **options)

        return asyncio.run(run())

    def worst_case(self, workflow: Workflow) -> list[tuple[CallBound, int | None]]:
        """Give the most model calls of each node in a run, and the most they can cost (nano-USD, None: no bound)."""
        now = self.clock.now()
        bounds: list[tuple[CallBound, int | None]] = []
        for calls in model_calls(workflow):
            costs = [self._charges.worst_case(model, calls, now) for model in self.models_of(calls.role)]
            known = [cost for cost in costs if cost is not None]
            bounds.append((calls, sum(known) if len(known) == len(costs) else None))
        return bounds

    async def close(self) -> None:
        """Write what is queued, and close the database and the connections to models; the next run opens them anew."""
        bound = [model for models in self._bound.values() for model in models]
        self._bound = {}
        for model in bound:
            await model.close()
        ledger, self._ledger, self._runner = self._ledger, None, None
        if ledger is not None:
            await ledger.close()

    def _running(self) -> Runner:
        if self._runner is None:
            self._runner = Runner(
                ledger=self.ledger,
                clock=self.clock,
                targets_of=lambda role: [ModelTarget(model, self._charges) for model in self.models_of(role)],
                breakers=Breakers(self.clock),
            )
        return self._runner

    def _bundle(self, workflow: Workflow) -> dict[str, Any]:
        """Name all that a run of the workflow stands on, models and prices included.

        Raises:
            ConfigurationError: a model cannot be made, or has no known price although the budget is in USD.
        """
        roles: dict[str, Any] = {}
        for role in sorted({role for node in workflow.nodes.values() for role in node.roles}):
            models = self.models_of(role)
            roles[role] = [
                {"provider": model.provider, "model": model.name, "params": {**model.params}} for model in models
            ]
            for model in models if workflow.budget.usd is not None else ():
                if self._charges.dearest(model, 1, 1, self.clock.now()) is None:
                    raise ConfigurationError(
                        f"the price of {model.provider}:{model.name} (role {role!r}) is not known and the budget of "
                        f"{workflow.name!r} is in USD: give Model(..., price=Price(input=..., output=...))"
                    )
        return {
            "workflow_version": workflow.version,
            "models": roles,
            "price_catalogue_id": self._charges.catalogue.catalogue_id,
            "engine_version": engine_version(),
            "git_commit": git_commit(),
        }
