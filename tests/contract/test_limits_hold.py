"""Whatever is queued, limited, claimed and finished in whichever order: no claim passes a limit, and no run starves."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from engine import App
from engine.outbox import Outbox
from engine.ports import Taken
from engine.records import RunStatus
from tests.flows import line, noting
from tests.queues import enqueue

WORKFLOWS = {name: line(("note", noting()), name=name) for name in ("short", "long")}
LANES = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(sorted(WORKFLOWS))
RESOURCES = st.sampled_from([None, "crm"])
MOST = st.sampled_from([None, 0, 1, 2, 3])

Key = tuple[str, str | None]
"""What a limit is for: its kind and its name."""


class Queue(RuleBasedStateMachine):
    """A queue beside a model of it: what each run shares, which are in progress, and what is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        app = App(workflows=list(WORKFLOWS.values()), database="sqlite:///:memory:")
        self.app = self.runner.run(self.stack.enter_async_context(app))
        self.shares: dict[str, set[Key]] = {}
        self.working: dict[str, Taken] = {}
        self.claimed: set[str] = set()
        self.limits: dict[Key, int] = {}

    @rule(lane=LANES, workflow=NAMES, resource=RESOURCES, count=st.integers(1, 3), priority=st.integers(0, 1))
    def queue(self, lane, workflow, resource, count, priority):
        place = {"lane": lane, "resource": resource, "priority": priority}
        for run_id in self.runner.run(enqueue(self.app, count, workflow, **place)):
            self.shares[run_id] = {("lane", lane), ("workflow", workflow), ("resource", resource)}

    @rule(lane=LANES, most=MOST)
    def limit_lane(self, lane, most):
        self.limit(("lane", lane), most)

    @rule(workflow=NAMES, most=MOST)
    def limit_workflow(self, workflow, most):
        self.limit(("workflow", workflow), most)

    @rule(most=MOST)
    def limit_resource(self, most):
        self.limit(("resource", "crm"), most)

    def limit(self, key: Key, most: int | None) -> None:
        kind, name = key
        said = self.app.limit("default", name, most)
        if kind != "lane":
            said.close()
            said = self.app.limit_across("default", kind, name, most)
        self.runner.run(said)
        self.limits.pop(key, None)
        if most is not None:
            self.limits[key] = most

    @rule(capacity=st.integers(1, 5))
    def claim(self, capacity):
        taken = {one.record.run_id: one for one in self.runner.run(self.app.claim(capacity))}
        assert len(taken) <= capacity
        assert not taken.keys() & self.claimed, "a run was given twice"
        self.working |= taken
        self.claimed |= taken.keys()
        running = Counter(key for run_id in self.working for key in self.shares[run_id])
        for key in {key for run_id in taken for key in self.shares[run_id]}:
            assert running[key] <= self.limits.get(key, running[key]), f"{key} allows {self.limits[key]}"

    @precondition(lambda self: self.working)
    @rule(number=st.integers(0, 10))
    def finish(self, number):
        run_id = sorted(self.working)[number % len(self.working)]
        run = self.working.pop(run_id).record
        run.status, run.ended_at = RunStatus.SUCCEEDED, self.app.clock.now()
        self.runner.run(self.app.ledger.finish(run, Outbox(run_id, fence=run.fence, is_new=True, is_queued=True)))

    def teardown(self) -> None:
        """Every run is claimed in the end, under limits that let any through."""
        for key in [key for key, most in self.limits.items() if most == 0]:
            self.limit(key, 1)
        for _ in range(2 * len(self.shares) + 1):
            self.claim(3)
            while self.working:
                self.finish(0)
        self.runner.run(self.stack.aclose())
        self.runner.close()
        assert self.claimed == self.shares.keys(), "a run was never claimed"


TestLimitsHold = Queue.TestCase
TestLimitsHold.settings = settings(
    max_examples=8, stateful_step_count=16, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
