"""A worker is killed while it scores sampled runs: another goes on; no run is scored twice, and no judge paid twice."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from engine import Evaluation, Sampling
from engine.app import App
from engine.definition.policies import Budget
from engine.evals.evaluators import Judge
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.store import samples, tables
from engine.testing import ScriptedModel, StillClock, kill_at, killed
from engine.usage import Price
from tests.databases import SHARED, ready
from tests.flows import line

SAYS = line(("say", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)), name="says")
JUDGES = line(
    ("judge", Generate(model="judge", prompt="{question}", into="answer", max_tokens=5)),
    name="judges",
    budget=Budget(usd="0.0005"),
)
RUNS = 3


class Asked(ScriptedModel):
    """A judge that notes in a file that it was asked, as whoever sends the bill would; it may end its process.

    Attributes:
        fatal: after how many answers the process is killed, once the last of them is durable.
    """

    notes: str
    fatal: int | None = None

    async def _agenerate(self, *given: Any, **options: Any) -> Any:
        note(self.notes, given[0][-1].content)
        answer = await super()._agenerate(*given, **options)
        if len(asks(self.notes)) == self.fatal:
            kill_at("after commit")
        return answer


def note(notes: str, text: str) -> None:
    with Path(notes).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def asks(notes: str) -> list[str]:
    return Path(notes).read_text(encoding="utf-8").splitlines()


def worker(url: str, notes: str, clock: StillClock, fatal: int | None = None) -> App:
    price = Price(input="1", output="1")
    models = {
        "large": Model(ScriptedModel(script=[f"answer {number}" for number in range(RUNS)]), price=price),
        "judge": Model(Asked(script=["1"], notes=notes, fatal=fatal), price=price),
    }
    judge = Judge(workflow="judges", given={"question": "output.answer"}, verdict="ready")
    sampling = Sampling(workflow="says", rate=1.0, evaluators=[judge], concurrency=1)
    return App(
        workflows=[SAYS, JUDGES],
        models=models,
        database=url,
        clock=clock,
        evaluation=Evaluation(online=[sampling]),
    )


async def score(url: str, notes: str) -> None:
    """What the process does that is killed: it has the second judge's answer, and not yet written the score."""
    clock = StillClock()
    async with worker(url, notes, clock, fatal=2) as app:
        await app.evaluate_online(since=clock.now())


@SHARED
async def test_each_run_is_scored_once_and_no_judge_is_asked_twice(database_url, tmp_path):
    url, notes, clock = ready(database_url), str(tmp_path / "asked.txt"), StillClock()
    async with worker(url, notes, clock) as app:
        for number in range(RUNS):
            await app.run("says", {"question": f"question {number}"})
        assert await asyncio.to_thread(killed, score, url, notes, at="before send", number=100)
        assert len(asks(notes)) == 2
        assert await app.ledger.read(lambda c: samples.counts(c, "says")) == {"pending": 2, "scored": 1}
        assert (await app.evaluate_online()).scored == 0, "nobody knows yet that it is dead"
        clock.advance(samples.ALONE.total_seconds() + 1)
        assert (await app.evaluate_online()).scored == 2
        assert await app.ledger.read(lambda c: samples.counts(c, "says")) == {"scored": RUNS}
        assert Counter(asks(notes)) == {f"answer {number}": 1 for number in range(RUNS)}
        said = await app.ledger.read(lambda c: c.execute(select(tables.scores)).all())
        assert sorted(one.evaluator for one in said) == [*["judge-judges"] * RUNS, *["succeeded"] * RUNS]
        judged = [one for one in await app.ledger.runs() if one.origin == "judge"]
        assert {one.parent_run_id for one in judged} == {one.run_id for one in said}
        calls = [call.status for one in judged for call in await app.ledger.calls(one.run_id)]
        assert (len(judged), calls) == (RUNS, ["ok"] * RUNS)
