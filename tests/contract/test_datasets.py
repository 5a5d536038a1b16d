"""Datasets grow a version at a time, of runs and files, redacted and without near-duplicates, on every database."""

import pytest

from engine.definition.guardrail import Action, Guardrail, Span, Verdict
from engine.errors import InputError
from engine.evals.case import Case, read_cases
from engine.evals.evaluation import Evaluation
from engine.nodes.call_tool import CallTool
from tests.databases import SHARED
from tests.flows import DOCUMENTS, QUESTION, app_for, ask, line, open_ticket, scripted


class Secrets(Guardrail):
    """Masks one word and refuses another."""

    def check_text(self, text, item):
        """Look for the words."""
        if "forbidden" in text:
            return Verdict(action=Action.BLOCK, reason="it is forbidden")
        at = text.find("hunter2")
        if at < 0:
            return Verdict(action=Action.ALLOW)
        return Verdict(action=Action.MASK, spans=(Span(start=at, end=at + 7, label="SECRET"),))


def cases(*questions, **fields):
    return [Case(input={"question": question}, **fields) for question in questions]


@SHARED
async def test_a_dataset_grows_and_every_version_stays_readable(url):
    async with app_for(ask(), database=url) as app:
        first = await app.add_cases("faq", cases("What is a run?", "What is a step?"))
        second = await app.add_cases("faq", cases("what is a RUN", "What is a call?", split="test"))
        assert (first.dataset.cases, second.dataset.cases, second.merged) == (2, 3, 1)
        again = await app.add_cases("faq", cases("What is a call?", split="test"))
        assert (again.dataset, again.added, again.merged) == (second.dataset, [], 1)
        record, found = await app.dataset("faq")
        assert record == second.dataset
        assert [case.input["question"] for case in found] == ["What is a run?", "What is a step?", "What is a call?"]
        _, old = await app.dataset("faq", version=first.dataset.version[:8])
        assert [case.case_id for case in old] == [*first.added]
        _, held_out = await app.dataset("faq", split="test")
        assert [case.case_id for case in held_out] == [*second.added]
        await app.add_cases("other", cases("What is a run?"))
        assert [(one.name, one.cases, many) for one, many in await app.datasets()] == [("faq", 3, 2), ("other", 1, 1)]


@SHARED
async def test_a_case_of_a_run_is_frozen_with_what_it_found_did_and_came_from(url):
    async with app_for(ask(), database=url, large=scripted("bad", "good")) as app:
        failed, passed = await app.run("ask", QUESTION), await app.run("ask", QUESTION, tenant="acme")
        await app.outcome(failed.run_id, False)
        ids = await app.runs_where({"workflow": "ask", "outcome": "failure"})
        assert ids == [failed.run_id]
        assert await app.runs_where({"tenant": "acme", "status": "succeeded"}) == [passed.run_id]
        made = await app.cases_from_runs(ids, expect=["route"], tags=("seen",), must_pass=True)
        await app.add_cases("regressions", made)
        _, (case,) = await app.dataset("regressions")
        assert (case.input, case.expect, case.tags, case.must_pass) == (QUESTION, {"route": "right"}, ("seen",), True)
        assert (case.run_id, case.workflow, case.version) == (failed.run_id, "ask", app.workflow("ask").version)
        assert case.recorded is not None
        assert [passage["text"] for passage in case.recorded["passages"]] == DOCUMENTS[:1]
        (tool,) = case.recorded["tools"]
        assert (tool["name"], tool["arguments"]) == ("open_ticket", QUESTION)
        assert tool["result"].startswith("T-")
        assert case == made[0]


async def test_guardrails_of_the_app_see_cases_before_they_are_kept():
    async with app_for(
        line(("ticket", CallTool(tool=open_ticket, args={"question": "question"}, into="ticket")))
    ) as app:
        app.evaluation = Evaluation(redact=[Secrets()])
        result = await app.run("line", {"question": "my word is hunter2"})
        made = await app.cases_from_runs([result.run_id], expect=["question"])
        added = await app.add_cases("kept", [*made, *cases("this is forbidden")])
        assert added.refused == ["secrets refuses it: it is forbidden"]
        _, (case,) = await app.dataset("kept")
        assert (case.input, case.expect) == ({"question": "my word is [SECRET]"},) * 1 + (
            {"question": "my word is [SECRET]"},
        )
        assert "hunter2" not in str(case.to_json())
        assert case.recorded is not None
        assert case.recorded["tools"][0]["arguments"] == {"question": "my word is [SECRET]"}
        with pytest.raises(InputError, match="there is no case to add"):
            await app.add_cases("kept", cases("forbidden too"))


async def test_what_there_is_not_is_named():
    async with app_for(ask(), large=scripted("good")) as app:
        result = await app.run("ask", QUESTION)
        with pytest.raises(InputError, match="no colour in its output"):
            await app.cases_from_runs([result.run_id], expect=["colour"])
        with pytest.raises(InputError, match="runs are chosen by"):
            await app.runs_where({"colour": "red"})
        with pytest.raises(InputError, match="no dataset 'faq'"):
            await app.dataset("faq")
        await app.add_cases("faq", cases("What is a run?"))
        with pytest.raises(InputError, match="no case of the split 'test'"):
            await app.dataset("faq", split="test")
        with pytest.raises(InputError, match="0 versions"):
            await app.dataset("faq", version="zz")
        with pytest.raises(InputError, match="a dataset has a name"):
            await app.add_cases(" ", cases("What is a run?"))


def test_lines_are_cases_or_inputs_alone():
    lines = ['{"input": {"a": 1}, "expect": {"b": 2}}', "", '{"a": 3}', '{"input": "text"}']
    found = read_cases(lines, "f", split="test")
    assert [dict(case.input) for case in found] == [{"a": 1}, {"a": 3}, {"input": "text"}]
    assert [case.split for case in found] == ["test"] * 3


@pytest.mark.parametrize(
    ("line_", "said"),
    [("nonsense", "f, line 1: it is not JSON"), ("[]", "one JSON object"), ('{"input": {}, "colour": 1}', "colour")],
)
def test_a_line_that_is_no_case_is_named(line_, said):
    with pytest.raises(InputError, match=said):
        read_cases([line_], "f")
    with pytest.raises(InputError, match="no case in it"):
        read_cases([""], "f")
