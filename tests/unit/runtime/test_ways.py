"""Parallel ways: some may fail, some race, some are not taken, and the join runs once all the same."""

import asyncio
from typing import Any

import pytest

from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.models.roles import Model
from engine.nodes.subflow import Subflow
from engine.records import RunStatus
from engine.testing import ScriptedModel
from engine.usage import Price
from tests.flows import app_for, line, run_id, scripted
from tests.open_runs import Waiting
from tests.ways import BROKEN, Do, Trail, flow, killed_at_each_commit, steps_of

GIVEN = {"start": "q"}


async def run(workflow: Workflow, given: dict[str, Any] | None = None, **models: Any) -> tuple[Any, list[Any], Any]:
    async with app_for(workflow, **models) as app:
        result = await app.run(workflow.name, GIVEN | (given or {}))
        return result, await steps_of(app, result.run_id), result.output


async def trail(workflow: Workflow, **given: Any) -> list[str]:
    result, _, output = await run(workflow, given)
    assert result.status is RunStatus.SUCCEEDED, result.error
    return output["trail"]


class TestOptionalWays:
    fork = Parallel("plan", to=["web", "docs"], join="write", optional=["web"])

    async def test_a_way_that_fails_is_recorded_and_the_join_runs_without_it(self):
        result, steps, output = await run(flow("plan docs write", self.fork, web=Do(says="web", fails=True)))
        assert result.status is RunStatus.SUCCEEDED
        assert output["trail"] == ["plan", "docs", "write"]
        assert sorted(steps) == [("docs", "ok"), ("plan", "ok"), ("web", "failed"), ("write", "ok")]

    async def test_its_fallback_is_asked_first(self):
        web = Do(says="web", fails=True, fallback="cache")
        assert sorted(await trail(flow("plan docs write cache", self.fork, web=web))) == [
            "cache",
            "docs",
            "plan",
            "write",
        ]
        assert await trail(
            flow("plan docs write", self.fork, web=web, cache=Do(says="cache", fails=True)),
        ) == ["plan", "docs", "write"]

    async def test_a_way_that_must_not_fail_ends_the_run(self):
        result, steps, _ = await run(flow("plan web write", self.fork, docs=Do(says="docs", fails=True)))
        assert (result.status, result.error.node) == (RunStatus.FAILED, "docs")
        assert ("write", "ok") not in steps

    async def test_what_a_way_does_at_the_side_of_the_failure_ends_with_it(self):
        workflow = flow(
            "plan docs more write web left left-more inner",
            self.fork,
            Parallel("web", to=["left", "right"], join="inner"),
            Chain("left", "left-more"),
            Chain("docs", "more"),
            right=Do(says="right", fails=True),
        )
        result, steps, output = await run(workflow)
        assert sorted(output["trail"]) == ["docs", "left", "more", "plan", "web", "write"]
        assert ("right", "failed") in steps
        assert result.steps == 7

    @pytest.mark.parametrize("slow", ["left", "right", None])
    async def test_a_step_that_waits_at_the_side_of_the_failure_waits_no_more(self, slow):
        workflow = flow(
            "plan docs web inner write",
            self.fork,
            Parallel("web", to=["left", "right"], join="inner"),
            left=Do(says="left", waits=True, asks="large" if slow == "left" else None),
            right=Do(says="right", fails=True, asks="large" if slow == "right" else None),
        )
        async with app_for(workflow, large=scripted("text")) as app, asyncio.timeout(10):
            result = (await app.run("flow", GIVEN)).raise_for_status()
            assert sorted(result.output["trail"]) == ["docs", "plan", "web", "write"]
            assert "open" not in [asked.status for asked in await app.ledger.questions(result.run_id)]

    async def test_a_fork_in_a_loop_begins_anew_after_a_failure(self):
        workflow = flow(
            "plan docs web left inner",
            self.fork,
            Parallel("web", to=["left", "right"], join="inner"),
            Branch("write", on="verdict", to={"bad": "plan", "good": END}),
            right=Do(says="right", fails=True),
            write=Do(says="write", good_at=3, max_visits=3),
            last=None,
        )
        assert sorted(await trail(workflow)) == sorted(["plan", "docs", "web", "left", "write"] * 3)


class TestTheFirstWins:
    fork = Parallel("plan", to=["web", "docs"], join="write", wait_for="first")

    def race(self, **fields: Any) -> Workflow:
        return flow(
            "plan write",
            self.fork,
            web=Do(says="web", sets={"winner": "web"}, asks="slow"),
            docs=Do(says="docs", sets={"winner": "docs"}, **fields),
        )

    async def test_the_others_are_cancelled_with_their_calls_and_charged(self):
        slow = Model(Waiting(script=["late"]), price=Price(input="1", output="1"))
        app = app_for(self.race(asks="quick"), slow=slow, quick=scripted("soon"))
        async with app, asyncio.timeout(10):
            result = (await app.run("flow", GIVEN)).raise_for_status()
            assert result.output["trail"] == ["plan", "docs", "write"]
            assert result.output["winner"] == "docs"
            assert sorted(await steps_of(app, result.run_id)) == [
                ("docs", "ok"),
                ("plan", "ok"),
                ("web", "cancelled"),
                ("write", "ok"),
            ]
            calls = {call.target: call for call in await app.ledger.calls(result.run_id)}
            assert (calls["slow"].status, calls["quick"].status) == ("cancelled", "ok")
            assert calls["slow"].charged_tokens > 0

    async def test_only_the_winner_counts_where_both_have_written(self):
        workflow = flow(
            "plan write web-2 web-3 docs-2",
            self.fork,
            Chain("web", "web-2", "web-3"),
            Chain("docs", "docs-2"),
            web=Do(says="web", sets={"winner": "web"}),
            docs=Do(says="docs", sets={"winner": "docs"}),
        )
        _, steps, output = await run(workflow)
        assert (output["trail"], output["winner"]) == (["plan", "docs", "docs-2", "write"], "docs")
        assert ("web", "ok") in steps
        assert "web-3" not in dict(steps)

    async def test_a_way_sees_what_it_has_written_itself(self):
        longer = flow(
            "plan write two three four five",
            self.fork,
            Chain("web", "two"),
            Branch("two", on="verdict", to={"bad": "three", "good": "write"}),
            Chain("docs", "four", "five"),
            Chain("three", "six"),
            web=Do(says="web", sets={"verdict": "good"}),
            docs=Do(says="docs", sets={"verdict": "bad"}),
            six=Do(says="six"),
        )
        _, _, output = await run(longer)
        assert (output["trail"], output["verdict"]) == (["plan", "web", "two", "write"], "good")

    async def test_one_that_fails_ends_the_run_unless_it_is_optional(self):
        broken = {"web": Do(says="web", fails=True), "docs": Do(says="docs")}
        result, _, _ = await run(flow("plan write more", self.fork, Chain("docs", "more"), **broken))
        assert result.status is RunStatus.FAILED
        both = self.fork.model_copy(update={"optional": ("web", "docs")})
        assert await trail(flow("plan write more", both, Chain("docs", "more"), **broken)) == [
            "plan",
            "docs",
            "more",
            "write",
        ]
        broken["docs"] = Do(says="docs", fails=True)
        assert await trail(flow("plan write", both, **broken)) == ["plan", "write"]

    async def test_a_race_inside_a_race_and_inside_a_loop(self):
        workflow = flow(
            "plan web web-more quick slow slow-more inner docs docs-2 docs-3 docs-4",
            self.fork,
            Parallel("web", to=["quick", "slow"], join="inner", wait_for="first"),
            Chain("slow", "slow-more"),
            Chain("inner", "web-more"),
            Chain("docs", "docs-2", "docs-3", "docs-4", "docs-5"),
            Branch("write", on="verdict", to={"bad": "plan", "good": END}, at_most={"plan": 5}, otherwise=END),
            docs_5=Do(says="docs-5"),
            write=Do(says="write", good_at=3),
            last=None,
        )
        assert await trail(workflow) == ["plan", "web", "quick", "inner", "web-more", "write"] * 3

    async def test_a_crash_does_not_let_a_loser_go_on(self, tmp_path):
        slow = Waiting(script=["late"])
        database = f"sqlite:///{tmp_path}/runs.db"
        workflow = self.race(asks="quick")
        app = app_for(workflow, database=database, slow=Model(slow), quick=scripted("soon"))
        async with app, asyncio.timeout(10):
            BROKEN.add("write")
            result = await app.run("flow", GIVEN)
            assert (result.status, result.error.node) == (RunStatus.FAILED, "write")
        BROKEN.clear()
        async with app_for(workflow, database=database, slow=Model(slow), quick=scripted("never")) as app:
            result = (await app.resume(result.run_id)).raise_for_status()
            assert result.output["trail"] == ["plan", "docs", "write"]
        assert len(slow.asked) == 0

    async def test_a_crash_at_any_commit_leaves_the_same_winner(self, tmp_path):
        workflow = self.race(asks="quick")
        inside = Subflow(workflow=workflow, input={"start": "start"}, into={"trail": "trail"})
        for name, raced in (("flow", workflow), ("outer", line(("race", inside), state=Trail, name="outer"))):
            slow, quick = Model(Waiting(script=["late"])), scripted("soon")
            with killed_at_each_commit(tmp_path / name) as (database, copies):
                async with app_for(raced, database=database, slow=slow, quick=quick) as app:
                    (await app.run(raced.name, GIVEN)).raise_for_status()
            for copy in copies:
                slow, quick = Waiting(script=["late"]), ScriptedModel(script=["soon"])
                app = app_for(raced, database=copy, slow=Model(slow), quick=Model(quick))
                async with app, asyncio.timeout(20):
                    try:
                        before = await steps_of(app, run_id())
                        result = (await app.resume(run_id(), take_over=True)).raise_for_status()
                    except InputError:  # it had not begun, or had ended
                        continue
                    assert result.output["trail"] == ["plan", "docs", "write"]
                    had_won = any(step.endswith("docs") for step, _ in before)
                    assert not (had_won and (slow.was_asked() or quick.asked))

    async def test_a_way_that_waits_for_a_person_is_given_up_when_another_wins(self):
        for first in ("web", "docs"):
            both = {"web": Do(says="web", asks="quick"), "docs": Do(says="docs", asks="quick")}
            both[first] = Do(says=first, waits=True)
            workflow = flow("plan write", self.fork, **both)
            result, steps, output = await run(workflow, quick=scripted("soon"))
            assert (result.status, len(output["trail"])) == (RunStatus.SUCCEEDED, 3)
            assert (first, "waiting") in steps

    def slow_to_win(self, **nodes: Do) -> Workflow:
        branch = Branch("write", on="verdict", to={"bad": "plan", "good": END})
        ways = (self.fork, Chain("docs", "docs-2", "docs-3"), branch)
        given = {"web": Do(says="web", waits=True), "write": Do(says="write", good_at=1, max_visits=2)}
        return flow("plan docs docs-2 docs-3", *ways, last=None, **(given | nodes))

    async def test_what_a_way_asked_that_has_lost_is_not_open_while_the_run_waits_for_something_else(self):
        asks_last = self.slow_to_win(write=Do(says="write", waits=True, good_at=1, max_visits=2))
        inside = Subflow(workflow=asks_last, input={"start": "start"}, into={"trail": "trail"})
        for workflow in (asks_last, line(("sub", inside), state=Trail, name="outer")):
            async with app_for(workflow) as app:
                waiting = await app.run(workflow.name, GIVEN)
                assert [asked.node_name.split("/")[-1] for asked in await app.questions(waiting.run_id)] == ["write"]
                await app.answer(waiting.run_id)
                result = (await app.resume(waiting.run_id)).raise_for_status()
                assert result.output["trail"] == ["plan", "docs", "docs-2", "docs-3", "write"]

    async def test_each_turn_of_a_loop_asks_anew(self):
        async with app_for(self.slow_to_win(write=Do(says="write", good_at=2, max_visits=2))) as app:
            result = (await app.run("flow", GIVEN)).raise_for_status()
            steps = await app.ledger.steps(result.run_id)
            assert [(step.visit, step.status) for step in steps if step.node_name == "web"] == [
                (1, "waiting"),
                (2, "waiting"),
            ]
            assert [asked.status for asked in await app.ledger.questions(result.run_id)] == ["withdrawn"] * 2
            assert result.steps == len(steps)

    async def test_a_visit_that_lost_while_it_waited_counts_once(self):
        both = {name: Do(says=name, waits=True, max_visits=2) for name in ("web", "docs")}
        again = Branch("write", on="verdict", to={"bad": "plan", "good": END})
        workflow = flow("plan", self.fork, again, write=Do(says="write", good_at=2, max_visits=2), last=None, **both)
        async with app_for(workflow) as app:
            result = await app.run("flow", GIVEN)
            for _ in range(2):
                asked = {question.node_name: question for question in await app.questions(result.run_id)}
                await app.answer(result.run_id, question=asked["web"].question_id)
                result = await app.resume(result.run_id)
            assert result.raise_for_status().output["trail"] == ["plan", "web", "write"] * 2

    async def test_a_run_whose_ways_all_wait_goes_on_with_an_answer(self):
        both = {"web": Do(says="web", waits=True), "docs": Do(says="docs", waits=True)}
        async with app_for(flow("plan write", self.fork, **both)) as app:
            waiting = await app.run("flow", GIVEN)
            assert waiting.status is RunStatus.WAITING
            asked = {question.node_name: question for question in await app.questions(waiting.run_id)}
            await app.answer(waiting.run_id, question=asked["docs"].question_id)
            result = (await app.resume(waiting.run_id)).raise_for_status()
            assert result.output["trail"] == ["plan", "docs", "write"]


class TestBranchesWithSeveralTargets:
    branch = Branch(
        "plan", on="pick", to={"both": ["web", "docs"], "web": "web", "docs": "docs", "none": "write"}, join="write"
    )

    @pytest.mark.parametrize(
        ("pick", "taken"), [("both", ["docs", "web"]), ("web", ["web"]), ("docs", ["docs"]), ("none", [])]
    )
    async def test_the_join_waits_for_the_ways_that_were_taken(self, pick, taken):
        visited = await trail(flow("plan web docs write", self.branch), pick=pick)
        assert (visited[0], sorted(visited[1:-1]), visited[-1]) == ("plan", taken, "write")

    @pytest.mark.parametrize(
        ("picks", "taken"),
        [
            (["web", "docs"], ["docs", "web"]),
            (["docs", "none"], ["docs"]),
            (["none"], []),
            ([], []),
            (["web", "web"], ["web"]),
        ],
    )
    async def test_each_value_of_a_list_names_a_way(self, picks, taken):
        branch = Branch("plan", on="picks", to={"web": "web", "docs": "docs", "none": "write"}, join="write")
        visited = await trail(flow("plan web docs write", branch), picks=picks)
        assert (visited[0], sorted(visited[1:-1]), visited[-1]) == ("plan", taken, "write")
        nodes = {name: Do(says=name) for name in ("web", "docs", "write")}
        edges = [branch.model_copy(update={"source": START}), Chain("write", END)]
        first = Workflow(name="flow", state=Trail, nodes=nodes, edges=edges)
        assert sorted(await trail(first, picks=picks)) == sorted([*taken, "write"])

    async def test_an_empty_list_goes_to_the_default_if_there_is_one(self):
        branch = Branch("plan", on="picks", to={"web": "web", "none": "write"}, default="docs", join="write")
        assert await trail(flow("plan web docs write", branch)) == ["plan", "docs", "write"]

    async def test_a_value_may_lead_out_of_the_fork(self):
        branch = Branch("plan", on="pick", to={"both": ["web", "docs"], "none": END}, default="web", join="write")
        assert await trail(flow("plan web docs write", branch), pick="none") == ["plan"]
        assert await trail(flow("plan web docs write", branch), pick="docs") == ["plan", "web", "write"]

    async def test_a_fork_in_a_loop_counts_each_turn_anew(self):
        workflow = flow(
            "plan web docs more",
            Branch("plan", on="pick", to={"both": ["web", "docs"], "none": "write"}, default="docs", join="write"),
            Chain("docs", "more"),
            Branch("write", on="verdict", to={"bad": "plan", "good": END}, at_most={"plan": 9}, otherwise=END),
            write=Do(says="write", good_at=3),
            last=None,
        )
        assert sorted(await trail(workflow)) == sorted(["plan", "web", "docs", "more", "write"] * 3)
        assert await trail(workflow, pick="none") == ["plan", "write"] * 3
        assert await trail(workflow, pick="web") == ["plan", "docs", "more", "write"] * 3


class TestBoundsOfABranch:
    def loop(self, **fields: Any) -> Workflow:
        return flow(
            "draft give-up",
            Chain("draft", "check"),
            Branch("check", on="verdict", to={"bad": "draft", "good": END}, at_most={"draft": 2}, otherwise="give-up"),
            check=Do(says="check", **fields),
            after="draft",
            last="give-up",
        )

    async def test_once_the_bound_is_met_the_run_goes_elsewhere(self):
        assert await trail(self.loop()) == ["draft", "check"] * 3 + ["give-up"]
        assert await trail(self.loop(good_at=2)) == ["draft", "check"] * 2

    async def test_a_crash_forgets_no_turn(self, tmp_path):
        database = f"sqlite:///{tmp_path}/runs.db"
        async with app_for(self.loop(), database=database) as app:
            BROKEN.add("give-up")
            failed = await app.run("flow", GIVEN)
            assert failed.status is RunStatus.FAILED
            BROKEN.clear()
            assert (await app.resume(failed.run_id)).output["trail"] == ["draft", "check"] * 3 + ["give-up"]


async def test_ways_fork_inside_a_sub_workflow():
    inner = flow(
        "plan docs write",
        Parallel("plan", to=["web", "docs"], join="write", optional=["web"]),
        web=Do(says="web", fails=True),
    )
    inner = inner.model_copy(update={"name": "inner"})
    inside = Subflow(workflow=inner, input={"start": "start"}, into={"trail": "trail"})
    outer = flow(
        "plan docs docs-2 write",
        Parallel("plan", to=["web", "docs"], join="write"),
        Chain("docs", "docs-2"),
        web=inside,
    )
    assert sorted(await trail(outer)) == sorted(["plan", "docs", "write"] * 2 + ["docs-2"])
