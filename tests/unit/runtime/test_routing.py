"""Which model is asked: by a field, a small one first, and what that saved."""

from typing import Any

import pytest

from engine import (
    END,
    START,
    Agent,
    Budget,
    Cascade,
    Chain,
    DefinitionError,
    Difficulty,
    Generate,
    Model,
    Price,
    Retry,
    Switch,
    Workflow,
)
from engine.definition.guardrail import Action
from engine.errors import BadRequest, Overloaded, RateLimited
from engine.nodes.agent_tool import AgentTool
from engine.testing import ScriptedModel
from tests.flows import Ask, app_for, line, scripted, search
from tests.unit.runtime.test_guards import Word

ROUTE = Switch(on="route", to={"left": "small", "right": "large"})


def is_long(answer: str) -> bool | str:
    """Want three words."""
    return len(answer.split()) >= 3 or "it is too short"


LONG_FIRST_SMALL = Cascade(roles=["small", "large"], check=[is_long])


def draft(model: Any, **fields: Any) -> Generate:
    return Generate(**({"model": model, "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields))


def dear(*script: Any) -> Model:
    """Give a model that costs ten times as much as a scripted one."""
    return Model(ScriptedModel(script=list(script), model_name="dear"), price=Price(input="10", output="10"))


async def ask(workflow: Workflow, small: Model, large: Model, **given: Any) -> tuple[Any, Any, list[Any]]:
    """Run, and give the result, the one step, and its calls."""
    async with app_for(workflow, small=small, large=large) as app:
        result = await app.run("line", {"question": "q", **given})
        (step,) = await app.ledger.steps(result.run_id)
        return result, step, list(await app.ledger.calls(result.run_id))


@pytest.mark.parametrize(("value", "said"), [("left", "cheap"), ("right", "dear")])
async def test_a_field_says_which_model_is_asked(value, said):
    result, step, _ = await ask(line(("draft", draft(ROUTE))), scripted("cheap"), dear("dear"), route=value)
    assert (result.output["answer"], step.routed) == (said, "small" if value == "left" else "large")


async def test_a_switch_says_what_it_saved_against_the_dearest_model():
    _, step, calls = await ask(line(("draft", draft(ROUTE))), scripted("cheap"), dear("dear"), route="left")
    assert step.saved_nano_usd == 9 * calls[0].cost_nano_usd == 135_000


async def test_a_value_without_a_role_is_an_error_that_says_how_to_mend_it():
    workflow = line(("draft", draft(Switch(on="route", to={"left": "small"}))))
    result, _, _ = await ask(workflow, scripted("x"), dear("x"), route="right")
    assert (result.status, "give the Switch a default" in str(result.error)) == ("failed", True)


async def test_a_switch_has_a_default_and_booleans_are_values():
    by_ready = Switch(on="ready", to={True: "large"}, default="small")
    result, _, _ = await ask(line(("draft", draft(by_ready))), scripted("cheap"), dear("dear"), ready=False)
    assert result.output["answer"] == "cheap"


async def test_a_cascade_keeps_the_small_models_answer_where_it_passes():
    result, step, calls = await ask(line(("draft", draft(LONG_FIRST_SMALL))), scripted("one two three"), dear("big"))
    assert (result.output["answer"], [call.target for call in calls]) == ("one two three", ["small"])
    assert (step.routed, step.saved_nano_usd) == ("small", 135_000)


async def test_a_cascade_climbs_when_a_check_fails_and_says_what_that_cost():
    result, step, calls = await ask(line(("draft", draft(LONG_FIRST_SMALL))), scripted("short"), dear("big"))
    assert (result.output["answer"], [call.purpose for call in calls]) == ("big", ["answer", "escalation"])
    assert (step.routed, step.saved_nano_usd) == ("small > large", -calls[0].cost_nano_usd)


async def test_a_guardrail_may_be_the_check_and_its_verdict_is_kept():
    cascade = Cascade(roles=["small", "large"], check=[Word(word="maybe", action=Action.BLOCK)])
    async with app_for(line(("draft", draft(cascade))), small=scripted("maybe"), large=dear("surely")) as app:
        result = await app.run("line", {"question": "q"})
        verdicts = await app.ledger.verdicts(result.run_id)
    assert (result.output["answer"], [verdict.stage for verdict in verdicts]) == ("surely", ["check"])


@pytest.mark.parametrize("said", [RateLimited("later", retry_after=999), BadRequest("no")])
async def test_a_cascade_climbs_when_the_small_model_gives_no_answer(said):
    result, step, _ = await ask(line(("draft", draft(LONG_FIRST_SMALL))), scripted(said), dear("big"))
    assert (result.output["answer"], step.routed) == ("big", "small > large")


async def test_what_is_turned_down_behind_the_node_is_asked_of_the_next_model():
    guarded = draft(LONG_FIRST_SMALL, guard_output=[Word(word="bad", action=Action.REASK)])
    result, step, calls = await ask(line(("draft", guarded)), scripted("a bad answer"), dear("a good answer"))
    assert (result.output["answer"], [call.target for call in calls]) == ("a good answer", ["small", "large"])
    assert step.routed == "small > large"


async def test_the_last_model_of_a_cascade_is_asked_again_like_any_other():
    guarded = draft(LONG_FIRST_SMALL, guard_output=[Word(word="bad", action=Action.REASK)])
    result, _, calls = await ask(line(("draft", guarded)), scripted("short"), dear("bad", "good"))
    assert (result.output["answer"], [call.target for call in calls]) == ("good", ["small", "large", "large"])


async def test_only_the_last_model_of_a_cascade_is_heard_while_it_writes():
    heard: list[str] = []
    async with app_for(line(("draft", draft(LONG_FIRST_SMALL))), small=scripted("short"), large=dear("a b c")) as app:
        await app.run("line", {"question": "q"}, listener=lambda event: heard.append(getattr(event, "text", "")))
    assert "".join(heard) == "a b c"


async def test_a_budget_that_is_used_up_is_no_reason_to_climb():
    workflow = line(("draft", draft(LONG_FIRST_SMALL)), budget=Budget(tokens=5))
    result, step, calls = await ask(workflow, scripted("short"), dear("big"))
    assert (result.status, step.routed, calls) == ("budget_exceeded", None, [])


@pytest.mark.parametrize("tells_usage", [True, False])
async def test_what_was_saved_is_not_known_where_a_price_or_the_usage_is_not(tells_usage):
    small = Model(ScriptedModel(script=["a b c"], input_tokens=3 if tells_usage else None))
    _, step, _ = await ask(line(("draft", draft(LONG_FIRST_SMALL))), small, dear("big"))
    assert (step.routed, step.saved_nano_usd) == ("small", None)


async def test_a_switch_may_go_by_what_the_node_itself_wrote_before():
    own = draft(Switch(on="answer", to={"": "small"}, default="large"), max_visits=1)
    result, _, _ = await ask(line(("draft", own)), scripted("cheap"), dear("dear"))
    assert result.output["answer"] == "cheap"


async def test_a_run_that_goes_on_says_what_the_whole_step_saved():
    models = {"small": scripted("short"), "large": dear(Overloaded("down"), "big")}
    node = draft(LONG_FIRST_SMALL, retry=Retry(attempts=1))
    async with app_for(line(("draft", node)), **models) as app:
        failed = await app.run("line", {"question": "q"})
        await app.resume(failed.run_id)
        step = (await app.ledger.steps(failed.run_id))[-1]
    assert (step.routed, step.saved_nano_usd) == ("small > large", -15_000)


async def test_an_agent_asks_the_model_of_a_switch_in_every_round():
    agent = Agent(
        model=ROUTE, prompt="{question}", into="answer", max_tokens=50, tools=[AgentTool(tool=search, effect="read")]
    )
    result, step, _ = await ask(line(("draft", agent)), scripted("cheap"), dear("dear"), route="left")
    assert (result.output["answer"], step.routed, step.saved_nano_usd) == ("cheap", "small", 135_000)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (lambda: draft(Switch(on="colour", to={"red": "small"})), "chosen by 'colour', which is not a field of Ask"),
        (
            lambda: Agent(
                model=LONG_FIRST_SMALL,
                prompt="{question}",
                into="answer",
                max_tokens=5,
                tools=[AgentTool(tool=search, effect="read")],
            ),
            "its model cannot be a Cascade",
        ),
        (lambda: draft(""), "its model names no role"),
        (lambda: draft(Cascade(roles=["small"], check=[is_long])), "roles"),
        (lambda: draft(Switch(on="route", to={})), "to"),
        (lambda: draft(3), "a role, as in 'large', a Switch or a Cascade is expected"),
    ],
)
def test_a_choice_that_cannot_work_is_never_built(node, said):
    with pytest.raises(DefinitionError, match=said):
        line(("draft", node()))


def test_a_choice_survives_json_with_the_same_version():
    workflow = line(("draft", draft(LONG_FIRST_SMALL)), ("again", draft(ROUTE)))
    assert Workflow.from_json(workflow.to_json()).version == workflow.version
    assert workflow.roles == {"small", "large"}


async def test_the_worst_case_is_the_dearest_of_a_switch_and_the_sum_of_a_cascade():
    node = {"max_tokens": 100, "max_input_tokens": 900, "reasks": 0, "retry": {"attempts": 1}}
    for model, least in ((ROUTE, 10_000_000), (LONG_FIRST_SMALL, 11_000_000)):
        workflow = line(("draft", draft(model, **node)))
        async with app_for(workflow, small=scripted("x"), large=dear("x")) as app:
            assert sum(cost or 0 for _, cost in app.worst_case(workflow)) == least


def rated(**fields: Any) -> Workflow:
    rate = Difficulty(**({"of": ["question"], "into": "answer"} | fields))
    return Workflow(name="line", state=Ask, nodes={"rate": rate}, edges=[Chain(START, "rate", END)])


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        ("When was the castle built?", "easy"),
        ("Who wrote it?", "easy"),
        ("Why did sales fall in 2024, and what should we do about it?", "hard"),
        ("Compare the two refund policies.", "hard"),
        ("What is the average of 3 and 4?", "hard"),
        ("Who pays? Who decides? And what happens unless both agree?", "hard"),
        ("Fix `x = [1,2` ... and tell me if it fails then what?\n- one\n- two", "hard"),
        ("", "easy"),
    ],
)
async def test_rules_say_whether_a_question_is_hard(question, verdict):
    async with app_for(rated()) as app:
        assert (await app.run("line", {"question": question})).output["answer"] == verdict


@pytest.mark.parametrize(("text", "verdict"), [("The castle was built in 1290.", "simple"), ("Cats purr.", "tricky")])
async def test_a_question_that_the_passages_do_not_cover_is_hard(text, verdict):
    workflow = rated(passages="passages", easy="simple", hard="tricky")
    async with app_for(workflow) as app:
        given = {"question": "When was the castle built?", "passages": [{"text": text}]}
        assert (await app.run("line", given)).output["answer"] == verdict


def test_difficulty_says_what_is_wrong_with_its_fields():
    with pytest.raises(DefinitionError, match=r"(?s)same word.*holds str and no passages"):
        rated(passages="answer", easy="hard")
