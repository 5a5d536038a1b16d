"""Three real LangGraph applications take the steps that they take there, scenario by scenario."""

import json
from collections import Counter
from typing import Any

import pytest

from engine import App, Workflow
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.applications import web
from tests.applications.adaptive_rag import adaptive_rag
from tests.applications.enrichment import enrichment
from tests.applications.research import research
from tests.flows import app_for
from tests.public_data import DATA

GRAPHS = DATA / "graphs.json"
pytestmark = pytest.mark.skipif(not GRAPHS.exists(), reason=f"{GRAPHS} is not there")

APPLICATIONS = {"gemini_research": research, "adaptive_rag": adaptive_rag, "data_enrichment": enrichment}
DECIDING = {"judge", "count"}  # what a LangGraph router computes is a step here, so that the ledger has it
SAME = {"follow-up": "web-research"}
TEXTS = {"generate": "generation", "transform_query": "question", "finalize_answer": "answer"}
TOOLS = {"web_research", "web_search", "retrieve", "tools"}


def scenarios() -> list[Any]:
    if not GRAPHS.exists():
        return []
    graphs = json.loads(GRAPHS.read_text(encoding="utf-8"))
    return [
        pytest.param(name, scenario, id=f"{name}: {scenario['name']}")
        for name in APPLICATIONS
        for scenario in graphs[name]["scenarios"]
    ]


def said(node: str, output: dict[str, Any]) -> Any:
    """Give what a model says so that its node writes the output of a scenario."""
    if node in TEXTS:
        return output[TEXTS[node]]
    return output | ({"found": "some" if output["documents"] else "none"} if node == "grade_documents" else {})


def model_for(scenario: dict[str, Any], visits: list[str]) -> ScriptedModel:
    left = {node: iter(outputs) for node, outputs in scenario["script"].items() if node not in TOOLS}
    return ScriptedModel(script=[said(node, next(left[node])) for node in visits if node in left] or ["nothing"])


async def steps_of(app: App, run_id: str) -> list[str]:
    """Give the nodes in order, one mapped over a list as often as it had items, as the scenarios name them."""
    steps = await app.ledger.steps(run_id)
    items = Counter(step.parent_step_id for step in steps if step.parent_step_id)
    own = [step for step in steps if step.parent_step_id is None and step.node_name not in DECIDING]
    names = [(SAME.get(step.node_name, step.node_name), items.get(step.step_id, 1)) for step in own]
    return [name.replace("-", "_") for name, times in names for _ in range(times)]


@pytest.mark.parametrize(("name", "scenario"), scenarios())
async def test_the_steps_and_the_end_are_those_of_the_scenario(name: str, scenario: dict[str, Any]):
    workflow: Workflow = APPLICATIONS[name]
    (turn,) = scenario["turns"]
    web.put(q="w", **{letter: letter.upper() for letter in "abcdefg"})
    visits = [node for superstep in turn.get("visits", ENDLESS) for node in superstep]
    model = model_for(scenario, visits)
    async with app_for(workflow, writer=model, grader=model) as app:
        result = await app.run(workflow.name, turn["input"])
        if "error" in turn:
            assert (result.status, result.error.type) == (RunStatus.FAILED, "VisitsExceeded")
            return
        output = result.raise_for_status().output
        assert await steps_of(app, result.run_id) == visits
        assert {field: output[field] for field in turn["final"]} == turn["final"]


ENDLESS = [["route_question"], *[["generate"], ["grade_generation"]] * 20]


async def test_an_empty_fan_out_goes_on():
    model = ScriptedModel(script=[{"search_query": []}, {"is_sufficient": True}, "nothing to say"])
    async with app_for(research, writer=model) as app:
        result = (await app.run("research", {})).raise_for_status()
        assert result.output["answer"] == "nothing to say"
