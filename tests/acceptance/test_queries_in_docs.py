"""The SQL of the docs runs as it stands, on both databases, and says what is true."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.app import App
from engine.definition.guardrail import Action, GuardItem, Guardrail, Verdict
from engine.definition.policies import Retry
from engine.models.roles import Model
from engine.nodes.ask import Ask
from engine.nodes.call_tool import CallTool
from engine.nodes.generate import Generate
from engine.store.database import Database
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.flows import line

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"
QUERIES = re.findall(r"## (.+?)\n\n```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)

FAILURES: list[Exception] = []


ARGS = {"question": "question"}


def unsteady(question: str) -> str:
    """Fail as often as the test says."""
    if FAILURES:
        raise FAILURES.pop()
    return "T-1"


class Flagging(Guardrail):
    """Flags every text."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.FLAG, reason="always")


@pytest.fixture
async def answers(database_url: str) -> dict[str, list[dict[str, Any]]]:
    """Run a workflow whose tool fails twice, and ask every query of the page."""
    if "memory" in database_url:
        pytest.skip("a database in memory cannot be asked from outside")
    Database.open(database_url, migrate=True).close()
    FAILURES[:] = [ConnectionError("cut"), ConnectionError("cut")]
    workflow = line(
        ("draft", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)),
        ("tool", CallTool(tool=unsteady, args=ARGS, into="ticket", effect="idempotent", retry=Retry(attempts=3))),
        guard_input=[Flagging()],
    )
    role = Model(ScriptedModel(script=["fine"]), price=Price(input="1", output="1"))
    waits = line(("ask", Ask(text="Which?", into="answer")), name="waits")
    async with App(
        workflows=[workflow, waits], models={"large": role}, database=database_url, clock=StillClock()
    ) as app:
        for _ in range(2):
            (await app.run("line", {"question": "q"})).raise_for_status()
        await app.run("waits", {"question": "q"})
    database = Database.open(database_url)
    with database.engine.connect() as connection:
        found = {title: [dict(row) for row in connection.execute(text(sql)).mappings()] for title, sql in QUERIES}
    database.close()
    return found


async def test_the_queries_say_what_happened(answers):
    assert list(answers) == [
        "Cost per workflow and model",
        "Slowest steps",
        "Retries per tool",
        "Verdicts per guardrail",
        "Open questions",
    ]
    (asked,) = answers["Open questions"]
    assert (asked["workflow"], asked["node_name"], asked["text"]) == ("waits", "ask", "Which?")
    (cost,) = answers["Cost per workflow and model"]
    assert (cost["workflow"], cost["model"], cost["calls"], cost["tokens_in"]) == ("line", "scripted", 2, 20)
    assert float(cost["usd"]) == pytest.approx(0.00003)
    slowest = answers["Slowest steps"]
    assert slowest[0]["node_name"] == "tool"
    assert float(slowest[0]["longest_ms"]) == pytest.approx(1500)
    (tool,) = answers["Retries per tool"]
    assert (tool["tool_name"], tool["attempts"], tool["retries"], tool["failed"]) == ("unsteady", 4, 2, 2)
    (verdict,) = answers["Verdicts per guardrail"]
    assert (verdict["guardrail"], verdict["stage"], verdict["verdicts"], verdict["runs"]) == (
        "flagging",
        "run_input",
        2,
        2,
    )
