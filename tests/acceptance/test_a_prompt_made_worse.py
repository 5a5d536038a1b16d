"""The whole story: a prompt made worse is released, failed by the gate, taken back, and its cases are kept."""

import json

from engine import App, Evaluation, Model, Price
from engine.evals.case import Case
from engine.evals.evaluators import Equals
from engine.evals.gate import Decision
from engine.testing import ScriptedModel, StillClock
from tests.flows import line
from tests.unit.runtime.test_replay import draft

WORDS = [f"word{number}" for number in range(20)]
CASES = [Case(input={"question": word}, expect={"answer": f"{word} is known"}) for word in WORDS]


def answers(messages):
    """Know every word where it is asked for it; where it has to be brief, forget every second one."""
    said = str(messages[-1].content)
    word = said.rsplit(maxsplit=1)[-1]
    return f"{word} is known" if "brief" not in said or int(word[4:]) % 2 else "I forgot"


def deployment(prompt: str, url: str, clock: StillClock) -> App:
    workflow = line(("draft", draft(prompt=f"{prompt} {{question}}")))
    model = Model(ScriptedModel(script=[answers]), price=Price(input="1", output="1"))
    evaluation = Evaluation(evaluators={"line": [Equals(of="answer")]})
    return App(workflows=[workflow], models={"large": model}, database=url, clock=clock, evaluation=evaluation)


async def test_a_prompt_made_worse_is_caught_taken_back_and_its_cases_are_kept(tmp_path):
    url, clock = f"sqlite:///{tmp_path}/runs.db", StillClock()
    async with deployment("Explain", url, clock) as good:
        await good.add_cases("words", CASES)
        before = (await good.experiment("line", "words", name="before")).record
        await good.release("line", by="ann")
    async with deployment("Be brief:", url, clock) as worse:
        after = (await worse.experiment("line", "words", name="after")).record
        await worse.release("line", by="ben")
        assert (await worse.run("line", {"question": "word2"})).output["answer"] == "I forgot"
        gate = await worse.gate(before.experiment_id, after.experiment_id)
        assert gate.decision is Decision.FAIL
        done = await worse.take_back(gate, "before", "after", release="line", dataset="regressions", by="ci")
        assert {json.dumps(case.input["question"]) for case in done.cases} == {
            json.dumps(f"word{number}") for number in range(0, 20, 2)
        }
        assert (await worse.run("line", {"question": "word2"})).output["answer"] == "word2 is known"
        (latest, *_) = await worse.releases_of("line")
        assert (latest.version, latest.set_by, "the gate says FAIL" in latest.reason) == (before.version, "ci", True)
        record, cases = await worse.dataset("regressions")
        assert (record.cases, {case.tags for case in cases}) == (10, {("regression",)})
        still = (await worse.experiment("line", "regressions", name="still worse")).record
    async with deployment("In a few words:", url, clock) as mended:
        mend = (await mended.experiment("line", "regressions", name="mended")).record
        metrics = {row.name: row.mean.value for row in await mended.metrics_of(mend)}
        assert metrics["equals-answer"] == 1
        assert {row.name: row.mean.value for row in await mended.metrics_of(still)}["equals-answer"] == 0
