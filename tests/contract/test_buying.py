"""A gate buys trials where those there do not tell, once, within a budget, and looks once more."""

from collections import Counter

import pytest

from engine.errors import InputError
from engine.evals.allocation import allocate
from engine.evals.case import Case
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import Equals
from engine.evals.experiments import Plan
from engine.evals.gate import Decision, Policy, Side
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.databases import SHARED
from tests.flows import app_for, line

CASES = [Case(input={"question": f"word{number}"}, expect={"answer": "yes"}) for number in range(12)]
POLICY = Policy(metrics=["equals-answer"])
SAYS = line(("say", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)), name="says")


class Moody:
    """Knows half of the words; asked briefly, it knows them every third time."""

    def __init__(self):
        self.asked = Counter()

    def __call__(self, messages):
        said = str(messages[-1].content)
        self.asked[said] += 1
        knows = int(said.rsplit("word", 1)[1]) % 2 and ("rief" not in said or self.asked[said] % 3 == 1)
        return "yes" if knows else "no"


def moody(workflow=SAYS, clock=None, **fields):
    model = Model(ScriptedModel(script=[Moody()]), price=Price(input="1", output="1"))
    app = app_for(workflow, large=model, clock=clock, **fields)
    app.evaluation = Evaluation(evaluators={"says": [Equals(of="answer")]})
    return app


async def tried(app):
    await app.add_cases("words", CASES, alike=1.0)
    await app.experiment("says", "words", name="before")
    await app.experiment("says", "words", name="after", settings=["prompt.say=Be brief: {question}"])


@SHARED
async def test_what_one_trial_does_not_tell_more_do(url):
    async with moody(database=url) as app:
        await tried(app)
        assert (await app.gate("before", "after", POLICY)).decision is Decision.INCONCLUSIVE
        bought = await app.gate_buying("before", "after", POLICY, trials=36)
        assert (bought.gate.decision, sum(bought.trials.values()), bought.stopped) == (Decision.FAIL, 36, None)
        runs = len(await app.ledger.runs(limit=500))
        assert runs == 24 + 72
        again = await app.gate_buying("before", "after", POLICY, trials=36)
        assert (again.gate.decision, len(await app.ledger.runs(limit=500))) == (Decision.FAIL, runs)
        (row,) = [row for row in await app.metrics_of(await app.experiment_named("after")) if row.name != "succeeded"]
        assert row.trials == 12  # those that were bought are of chosen cases


async def test_what_its_budget_leaves_undone_is_bought_by_asking_again():
    async with moody(SAYS.model_copy(update={"budget": SAYS.budget.model_copy(update={"usd": "0.00012"})})) as app:
        await tried(app)
        cut = await app.gate_buying("before", "after", POLICY, trials=36, plan=Plan(max_nano_usd=300_000))
        assert cut.stopped is not None
        nothing = await app.gate_buying("before", "after", POLICY, trials=48, plan=Plan(max_nano_usd=1))
        assert (cut.runs > 0, nothing.runs, sum(nothing.trials.values())) == (True, cut.runs, 48)
        assert 24 < len(await app.ledger.runs(limit=500)) < 96
        whole = await app.gate_buying("before", "after", POLICY, trials=36)
        assert (whole.gate.decision, len(await app.ledger.runs(limit=500))) == (Decision.FAIL, 96)


async def test_a_side_whose_code_is_gone_has_no_more_and_two_are_told(tmp_path):
    url, clock = f"sqlite:///{tmp_path}/runs.db", StillClock()
    async with moody(database=url, clock=clock) as app:
        await tried(app)
    changed = line(
        ("say", Generate(model="large", prompt="Say: {question}", into="answer", max_tokens=50)), name="says"
    )
    async with moody(changed, database=url, clock=clock) as app:
        await app.experiment("says", "words", name="today", settings=["prompt.say=In brief: {question}"])
        bought = await app.gate_buying("before", "today", POLICY, trials=12)
        assert "is not what it was" in bought.left_out
        assert len(await app.ledger.runs(limit=500)) == 36 + 12
        with pytest.raises(InputError, match="no trials can be bought"):
            await app.gate_buying("before", "before", POLICY, trials=12)


async def test_nothing_is_bought_where_the_trials_tell():
    async with moody() as app:
        await tried(app)
        assert not (
            await app.gate_buying("before", "before", Policy(metrics=["succeeded"], margin=0.4), trials=5)
        ).trials
        with pytest.raises(InputError, match="buys one at least"):
            await app.gate_buying("before", "after", trials=0)


def test_trials_go_where_scores_vary_whichever_side_they_are_of():
    one = {"steady": [1.0] * 4, "flaky": [1.0, 0.0, 1.0, 0.0], "differs": [1.0, 1.0, 1.0, 1.0]}
    other = {"steady": [1.0] * 4, "flaky": [0.0, 1.0, 0.0, 1.0], "differs": [0.0, 0.0, 0.0, 0.0]}
    sides = Side(metrics={"good": one}), Side(metrics={"good": other})
    bought = allocate(*sides, ["good"], 12)
    assert bought == allocate(*sides[::-1], ["good"], 12)
    assert bought["flaky"] == bought["differs"] > bought["steady"]
    assert sum(bought.values()) == 12
    assert allocate(*sides, [], 3) == Counter()
