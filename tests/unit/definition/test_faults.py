"""A definition with a fault is never built, and one error names every fault in a sentence."""

import pytest
from pydantic import BaseModel

from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.policies import Budget, Cache
from engine.definition.workflow import Workflow
from engine.errors import DefinitionError
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from engine.nodes.validate import Validate
from tests.flows import Ask, ask, count_up, go_right, is_good, line, note, noting, open_ticket, search


def faults_of(build, *arguments, **fields) -> str:
    with pytest.raises(DefinitionError) as caught:
        build(*arguments, **fields)
    return str(caught.value)


def test_every_fault_is_named_at_once():
    said = faults_of(
        ask,
        name="Not A Name",
        edges=[Chain(START, "find", "nowhere"), Branch("check", on="verdct", to={"good": END})],
        output=("anser",),
    )
    assert "'Not A Name' is not a name" in said
    assert "from 'find' to 'nowhere', which is not a node" in said
    assert "reads 'verdct', which is not a field of Ask; its fields are 'question', 'passages'" in said
    assert "output names 'anser'" in said
    assert "'draft' has no way on: add it to a Chain, as in Chain('draft', END)" in said


def test_a_branch_must_cover_every_value():
    said = faults_of(
        ask, edges=[Chain(START, "find", "draft", "check"), Branch("check", on="verdict", to={"good": END, "odd": END})]
    )
    assert "does not say where verdict = 'bad' goes" in said
    assert "has a way for verdict = 'odd', which the field never is" in said


def test_a_branch_on_values_that_cannot_be_listed_needs_a_default():
    said = faults_of(
        line, ("draft", noting()), edges=[Chain(START, "draft"), Branch("draft", on="answer", to={"x": END})]
    )
    assert "whose values cannot be listed (str): declare it as a Literal or give the branch a default" in said


def test_a_node_that_is_never_reached_and_one_that_never_ends_are_named():
    said = faults_of(
        Workflow,
        name="lost",
        state=Ask,
        nodes={"a": noting(), "b": noting(), "c": noting()},
        edges=[Chain(START, "a", END), Chain("b", "c"), Chain("c", "b")],
    )
    assert "'b' is never reached from START" in said
    assert "the loop through 'b', 'c' has no bound: set max_visits on one of its nodes" in said


def test_a_loop_with_a_bound_is_fine():
    looping = Workflow(
        name="loop",
        state=Ask,
        nodes={"turn": Compute(function=go_right, into="route", max_visits=3)},
        edges=[Chain(START, "turn"), Branch("turn", on="route", to={"left": "turn", "right": END})],
    )
    assert looping.version


def test_fallbacks_must_exist_and_form_no_ring():
    draft = Generate(model="m", prompt="x", into="answer", max_tokens=5, fallback="other")
    assert "falls back to 'other', which is not a node" in faults_of(line, ("draft", draft))
    ring = {"draft": draft, "other": draft.model_copy(update={"fallback": "draft"})}
    edges = [Chain(START, "draft", END), Chain("other", END)]
    assert "the fallbacks form a ring: draft > other > draft" in faults_of(
        Workflow, name="ring", state=Ask, nodes=ring, edges=edges
    )


def test_what_a_node_writes_must_fit_its_field():
    wrong = Compute(function=count_up, into="answer")
    assert "'count' writes int into 'answer', which holds str" in faults_of(line, ("count", wrong))
    missing = Compute(function=count_up, into="cont")
    assert "'count' writes 'cont', which is not a field of Ask" in faults_of(line, ("count", missing))
    passages = Retrieve(retriever=search, query="question", into="answer")
    assert "writes list[dict[str, Any]] into 'answer'" in faults_of(line, ("find", passages))


def test_a_prompt_names_fields_that_exist():
    draft = Generate(model="m", prompt="Hello {nme}", into="answer", max_tokens=5)
    assert "its prompt 'inline' names {nme}, which is not a field of Ask" in faults_of(line, ("draft", draft))


def test_the_arguments_of_a_tool_are_checked_against_its_parameters():
    tool = CallTool(tool=open_ticket, args={"quesion": "question"}, into="ticket")
    said = faults_of(line, ("ticket", tool))
    assert "has no parameter 'quesion'; its parameters are question" in said
    assert "needs the parameter 'question': add it to args or constants" in said
    wrong = CallTool(tool=open_ticket, args={"question": "count"}, into="ticket")
    assert "the parameter 'question' takes str, and 'count' holds int" in faults_of(line, ("ticket", wrong))
    cached = CallTool(tool=open_ticket, args={"question": "question"}, into="ticket", cache=Cache())
    assert "a tool with effect 'once' cannot have a cache" in faults_of(line, ("ticket", cached))


def test_a_verdict_must_be_a_value_of_its_field():
    said = faults_of(line, ("check", Validate(check=[is_good], into="verdict", passed="fine", failed="bad")))
    assert "which 'fine' is not: set passed and failed" in said


def test_parallel_ways_must_meet_and_may_not_write_the_same_field():
    nodes = {name: noting() for name in ("plan", "one", "two", "join")}
    nodes["one"] = nodes["two"] = Compute(function=count_up, into="count")
    said = faults_of(
        Workflow,
        name="both",
        state=Ask,
        nodes=nodes,
        edges=[Chain(START, "plan"), Parallel("plan", to=["one", "two"], join="join"), Chain("join", END)],
    )
    assert "'one' and 'two' run in parallel and both write 'count': give the field a merge" in said
    said = faults_of(
        Workflow,
        name="leaves",
        state=Ask,
        nodes={name: noting() for name in ("plan", "one", "two", "join")},
        edges=[
            Chain(START, "plan"),
            Parallel("plan", to=["one", "two"], join="join"),
            Chain("one", END),
            Chain("join", END),
        ],
    )
    assert "the parallel way 'one' after 'plan' can reach END without passing 'join'" in said


def test_two_ways_on_from_one_node_are_refused():
    said = faults_of(line, ("a", noting()), ("b", noting()), edges=[Chain(START, "a", "b", END), Chain("a", END)])
    assert "'a' has two ways on: use a Branch or a Parallel" in said


def test_lambdas_and_closures_cannot_be_named():
    def inner(question: str) -> list[str]:
        return [question]

    assert "it is a lambda: move it to the top of a module" in faults_of(Compute, function=lambda: 1, into="count")
    assert "it is defined inside another function" in faults_of(Compute, function=inner, into="notes")
    assert "it cannot be imported" in faults_of(Compute, function="tests.flows:missing", into="notes")
    assert "an import path reads 'package.module:name'" in faults_of(Compute, function="nothing", into="notes")


def test_values_of_the_wrong_type_are_named_with_their_field():
    said = faults_of(Generate, model="m", prompt="x", into="answer", max_tokens="many")
    assert "max_tokens: input should be a valid integer" in said
    assert "tokns: extra inputs are not permitted" in faults_of(Budget, tokns=5)
    assert "max_tokens: field required" in faults_of(Generate, model="m", prompt="x", into="answer")


def test_an_output_must_be_a_pydantic_model_with_the_fields_it_gives():
    wrong = Generate(model="m", prompt="x", into="answer", max_tokens=5, output=note)
    assert "its output tests.flows:note is not a pydantic model" in faults_of(line, ("draft", wrong))
    several = Generate(model="m", prompt="x", into={"colour": "answer"}, max_tokens=5, output=Shape)
    assert "its output has no field 'colour'" in faults_of(line, ("draft", several))


class Shape(BaseModel):
    size: str


def test_json_that_is_no_workflow_is_refused_in_a_sentence():
    assert "it is not JSON" in faults_of(Workflow.from_json, "{")
    assert "a JSON object is expected" in faults_of(Workflow.from_json, "[]")
    other = ask().to_json().replace("engine.nodes.retrieve:Retrieve", "tests.flows:Ask")
    assert "it is not a kind of Node" in faults_of(Workflow.from_json, other)
