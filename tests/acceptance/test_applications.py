"""Applications that people build: each takes just the steps that it should, through loops, fan-outs and waits."""

from typing import Any

import pytest

from engine import App, Branch, Chain, DefinitionError, Workflow
from engine.definition.edges import END, START
from engine.records import RunStatus
from engine.testing import ScriptedModel, asking_for
from tests.applications import web
from tests.applications.adaptive_rag import adaptive_rag
from tests.applications.enrichment import enrichment
from tests.applications.plan_and_execute import plan_and_execute
from tests.applications.report import report
from tests.applications.research import research
from tests.applications.supervisor import study
from tests.applications.support import CHANGED, support
from tests.flows import app_for


async def steps_of(app: App, run_id: str) -> list[str]:
    """Give the steps that came to their end, in the order in which they began; those of an item with its number."""
    steps = [step for step in await app.ledger.steps(run_id) if step.status == "ok"]
    item_of = {step.step_id: step.item for step in steps}
    parents = {step.step_id: step.parent_step_id for step in steps}

    def number(step_id: str | None) -> str:
        while step_id is not None and item_of.get(step_id) is None:
            step_id = parents.get(step_id)
        return "" if step_id is None else f" {item_of[step_id]}"

    return [step.node_name + number(step.step_id) for step in steps]


def own(steps: list[str]) -> list[str]:
    return [step for step in steps if "/" not in step]


async def test_a_supervisor_sends_researchers_out_until_it_has_enough():
    web.put(trains="run hourly", ferries="run daily", buses="run rarely")
    supervisor = ScriptedModel(
        script=[
            {"next": "research", "topics": ["trains", "ferries"]},
            {"next": "research", "topics": ["buses"]},
            {"next": "write"},
        ]
    )

    def look_up(messages: Any) -> Any:
        said = messages[-1]
        if said.type == "tool":
            return f"they {said.text}"
        topic = said.text.removeprefix("Find out about ").removesuffix(".")
        return asking_for(("search_web", {"query": topic}))

    models = {"researcher": ScriptedModel(script=[look_up]), "writer": ScriptedModel(script=[shorten])}
    async with app_for(study, supervisor=supervisor, **models) as app:
        result = (await app.run("study", {"question": "How do I get there?"})).raise_for_status()
        assert result.output["notes"] == ["they run hourly", "they run daily", "they run rarely"]
        steps = await steps_of(app, result.run_id)
        assert own(steps) == ["supervise", "research", "supervise", "research", "supervise", "write"]
        assert sorted(steps[steps.index("research") : steps.index("research") + 7]) == sorted(
            [
                "research",
                *(f"research/each{part} {number}" for part in ("", "/search", "/compress") for number in (0, 1)),
            ]
        )
    assert web.ASKED == {"trains": 1, "ferries": 1, "buses": 1}


def shorten(messages: Any) -> str:
    return messages[-1].text.removeprefix("Shorten: ").split("\n")[0]


async def test_a_supervisor_that_never_has_enough_is_made_to_write():
    web.put()
    supervisor = ScriptedModel(script=[{"next": "research", "topics": ["more"]}])
    models = {"researcher": ScriptedModel(script=["nothing"]), "writer": ScriptedModel(script=["the end"])}
    async with app_for(study, supervisor=supervisor, **models) as app:
        result = (await app.run("study", {"question": "?"})).raise_for_status()
        assert own(await steps_of(app, result.run_id)) == [*["supervise", "research"] * 3, "supervise", "write"]


async def test_a_specialist_changes_a_flight_once_a_person_agrees_and_gives_the_word_back():
    CHANGED.clear()
    assistant = ScriptedModel(
        script=[
            asking_for(("hand_over_to_flights", {})),
            asking_for(("find_flights", {"to": "Oslo"})),
            asking_for(("change_flight", {"ticket": "T1", "flight": "LX2"})),
            asking_for(("hand_over_to_primary", {})),
            "You now fly with LX2.",
        ]
    )
    async with app_for(support, assistant=assistant) as app:
        waiting = await app.run("support", {"request": "Move T1 to a later flight to Oslo."})
        assert (waiting.status, CHANGED) == (RunStatus.WAITING, [])
        (asked,) = await app.questions(waiting.run_id)
        assert await app.ledger.value(asked.shown_payload) == {
            "tool": "change_flight",
            "arguments": {"ticket": "T1", "flight": "LX2"},
        }
        await app.answer(waiting.run_id, digest=asked.digest)
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert result.output == {"answer": "You now fly with LX2.", "stack": ["primary"]}
        assert CHANGED == [("T1", "LX2")]
        assert own(await steps_of(app, result.run_id)) == ["primary", "stack", "flights", "stack", "primary", "stack"]
    assert len(assistant.asked) == 5


async def test_a_plan_is_carried_out_step_by_step_and_made_anew_from_what_came_of_it():
    web.put(winner="Ada", town="Bath")
    planner = ScriptedModel(
        script=[
            {"plan": ["find the winner", "find her town"]},
            {"next": "go on", "plan": ["find her town"]},
            {"next": "answer", "answer": "Bath"},
        ]
    )
    executor = ScriptedModel(
        script=[
            asking_for(("search_web", {"query": "winner"})),
            "It is Ada.",
            asking_for(("search_web", {"query": "town"})),
            "It is Bath.",
        ]
    )
    async with app_for(plan_and_execute, planner=planner, executor=executor) as app:
        result = (await app.run("plan-and-execute", {"objective": "Where does the winner live?"})).raise_for_status()
        assert result.output["answer"] == "Bath"
        assert result.output["past"] == ["find the winner: It is Ada.", "find her town: It is Bath."]
        turn = ["next-step", "execute", "note", "plan-again"]
        assert await steps_of(app, result.run_id) == ["plan", *turn, *turn]


async def test_a_report_is_planned_again_until_a_person_agrees_and_sections_are_written_until_they_pass():
    web.put(q1="one", q2="two", q3="three")
    writer = ScriptedModel(script=[write])
    grades = {"intro from one": ("pass", ""), "facts from two": ("fail", "q3"), "facts from three": ("pass", "")}

    def grade(messages: Any) -> dict[str, str]:
        verdict, query = grades[messages[-1].text.partition(": ")[2].split("\n")[0]]
        return {"grade": verdict, "query": query}

    async with app_for(report, writer=writer, grader=ScriptedModel(script=[grade])) as app:
        first = await app.run("report", {"topic": "ships"})
        await app.answer(first.run_id, refuse=True, reason="Facts, too.")
        second = await app.resume(first.run_id)
        assert second.status is RunStatus.WAITING
        await app.answer(first.run_id)
        result = (await app.resume(first.run_id)).raise_for_status()
        assert result.output["texts"] == ["intro from one", "facts from three"]
        steps = await steps_of(app, result.run_id)
        assert own(steps) == ["plan", "agree", "plan", "agree", "write", "compile"]
        assert [step.split("/")[-1] for step in steps if step.endswith(" 0")] == [
            "each 0",
            *(f"{name} 0" for name in ("ask", "search", "write", "grade")),
        ]
        assert [step.split("/")[-1] for step in steps if step.endswith(" 1")] == [
            "each 1",
            *(f"{name} 1" for name in ("ask", "search", "write", "grade", "search", "write", "grade")),
        ]


def write(messages: Any) -> Any:
    asked = messages[-1].text.split("\n")[0]
    if asked.startswith("Sections"):
        return {"sections": ["intro", "facts"] if "Facts" in asked else ["intro"]}
    if asked.startswith("What to search"):
        return "q1" if "intro" in asked else "q2"
    return asked


WRONG = [
    (
        research,
        {"edges": [*research.edges[:1], Branch("judge", on="is_enough", to={True: "finalize-answer"})]},
        "does not say where is_enough = 'false' goes",
    ),
    (
        adaptive_rag,
        {
            "nodes": {
                **adaptive_rag.nodes,
                "generate": adaptive_rag.nodes["generate"].model_copy(update={"max_visits": None}),
            }
        },
        "has no bound: set max_visits on one of its nodes",
    ),
    (
        enrichment,
        {
            "nodes": {
                **enrichment.nodes,
                "reflect": enrichment.nodes["reflect"].model_copy(update={"into": {"verdict": "status"}}),
            }
        },
        "its output has no field 'verdict'",
    ),
    (
        study,
        {"nodes": {**study.nodes, "research": study.nodes["research"].model_copy(update={"over": "question"})}},
        "it goes over 'question', which holds str and not a list",
    ),
    (
        support,
        {"edges": [edge for edge in support.edges if not (isinstance(edge, Chain) and edge.nodes[0] == "hotels")]},
        "'hotels' has no way on: add it to a Chain",
    ),
    (
        plan_and_execute,
        {"edges": [*plan_and_execute.edges[:1], Branch("plan-again", on="nexxt", to={"answer": END})]},
        "reads 'nexxt', which is not a field of Errand",
    ),
    (
        report,
        {"edges": [Chain(START, "plan", "agree", "write", "compil", END), *report.edges[1:]]},
        "an edge goes from 'write' to 'compil', which is not a node",
    ),
]


@pytest.mark.parametrize(("workflow", "changes", "fault"), WRONG, ids=[workflow.name for workflow, _, _ in WRONG])
def test_a_wrong_one_is_refused_with_a_sentence(workflow: Workflow, changes: dict[str, Any], fault: str):
    fields = {name: getattr(workflow, name) for name in ("name", "state", "nodes", "edges", "output")}
    with pytest.raises(DefinitionError, match=fault.replace("(", r"\(")):
        Workflow(**(fields | changes))


@pytest.mark.parametrize(
    "workflow", [research, adaptive_rag, enrichment, study, support, plan_and_execute, report], ids=lambda one: one.name
)
def test_each_survives_json_with_its_version(workflow: Workflow):
    assert Workflow.from_json(workflow.to_json()).version == workflow.version
