"""Edges that cannot work are refused with a sentence each; those that can are drawn, bounded and kept as JSON."""

import pytest

from engine.definition.bounds import visits
from engine.definition.changes import changes
from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.workflow import Workflow
from engine.errors import DefinitionError
from tests.flows import Ask, ask, noting
from tests.ways import Do, flow

FORK = Parallel("plan", to=["web", "docs"], join="write")


def fan_out(**fields) -> Branch:
    given = {"on": "pick", "to": {"both": ["web", "docs"], "none": "write"}, "default": "web", "join": "write"}
    return Branch("plan", **(given | fields))


def fault_of(*edges, **fields) -> str:
    with pytest.raises(DefinitionError) as caught:
        flow("plan web docs write", *edges, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("branch", "said"),
    [
        (fan_out(join=None), "leads to several nodes for pick = 'both': name the join where they meet"),
        (fan_out(join="wirte"), "the ways of the branch after 'plan' join at 'wirte', which is not a node"),
        (
            fan_out(to={"both": ["web", "docs"], "none": []}),
            "leads nowhere for pick = 'none': lead to the join 'write'",
        ),
        (fan_out(to={"both": ["web", "docs", "web"]}), "names a node twice for pick = 'both'"),
        (
            fan_out(to={"both": ["web", "write"], "docs": "docs"}),
            "leads to 'write' beside other ways for pick = 'both'",
        ),
        (
            fan_out(to={"both": ["web", "docs", END]}),
            "leads to 'END' beside other ways for pick = 'both': leave it out",
        ),
        (fan_out(default=None), "does not say where pick = 'docs' goes"),
        (fan_out(on="picks", default=None), "has a way for picks = 'both', which the field never is"),
        (
            fan_out(on="picks", to={"web": "web", "none": "write"}, default=None),
            "does not say where picks = 'docs' goes",
        ),
        (
            fan_out(on="picks", to={"web": "web", "docs": "docs", "none": END}, default=None),
            "reads a list, and its way 'END' does not lead to the join 'write'",
        ),
        (
            fan_out(on="picks", to={"web": "web"}, default=None, join=None),
            "name the join where the ways of its values meet",
        ),
        (fan_out(at_most={"write": 2}), "has at_most and does not say where the run goes then: give it an otherwise"),
        (fan_out(at_most={"plan": 2}, otherwise=END), "bounds 'plan', to which it does not lead; it leads to 'web'"),
        (fan_out(otherwise="docs"), "has an otherwise and bounds no way: give it an at_most"),
        (fan_out(at_most={"web": 1}, otherwise="web"), "goes to 'web' once its bound is met: let otherwise be another"),
        (fan_out(at_most={"web": 1}, otherwise="stop"), "an edge goes from 'plan' to 'stop', which is not a node"),
    ],
)
def test_a_branch_that_cannot_work_is_refused(branch, said):
    assert said in fault_of(branch)


def test_a_way_that_is_none_cannot_be_optional():
    said = fault_of(FORK.model_copy(update={"optional": ("wbe",)}))
    assert "'wbe' is said to be optional after 'plan', and is none of the ways, which are 'web', 'docs'" in said


def test_values_of_the_edges_are_checked_where_they_are_written():
    with pytest.raises(DefinitionError, match="wait_for: input should be 'all' or 'first'"):
        Parallel("plan", to=["web", "docs"], join="write", wait_for="second")
    with pytest.raises(DefinitionError, match="greater than or equal to 1"):
        fan_out(at_most={"web": 0}, otherwise=END)


def test_ways_of_a_branch_obey_the_rules_of_parallel_ways():
    both = {"web": Do(says="web", sets={"winner": "x"}), "docs": Do(says="docs", sets={"winner": "y"})}
    assert "both write 'winner'" in fault_of(fan_out(), **both)
    assert "both write 'winner'" in fault_of(FORK, **both)
    assert flow("plan write", FORK.model_copy(update={"wait_for": "first"}), **both)
    assert flow("plan write", fan_out(to={"web": "web", "docs": "docs"}), **both), "they are never taken at once"
    assert "can reach END without passing 'write'" in fault_of(fan_out(), Chain("docs", END))
    aside = fault_of(fan_out(), Branch("docs", on="verdict", to={"good": "write", "bad": "plan"}))
    assert "the parallel way 'docs' after 'plan' leads back to 'plan' before it joins" in aside


def looping(**fields) -> Workflow:
    branch = Branch("check", **({"on": "verdict", "to": {"bad": "draft", "good": END}} | fields))
    return flow("draft check give-up", Chain("draft", "check"), branch, after="draft", last="give-up")


def test_the_bound_of_a_branch_is_the_bound_of_its_loop():
    bounded = looping(at_most={"draft": 2}, otherwise="give-up")
    assert visits(bounded) == {"draft": 3, "check": 3, "give-up": 1}
    with pytest.raises(DefinitionError, match="has no bound: set max_visits on one of its nodes, or at_most on one"):
        looping(default="give-up")
    with pytest.raises(DefinitionError, match="the loop through 'check', 'draft', 'other' has no bound"):
        flow(
            "draft check other",
            Chain("draft", "check"),
            Chain("other", "draft"),
            Branch("check", on="verdict", to={"bad": "draft", "good": END}, at_most={"draft": 2}, otherwise="other"),
            after="draft",
            last=None,
        )


def test_edges_survive_json_and_are_drawn():
    race = Parallel("plan", to=["web", "docs"], join="write", wait_for="first", optional=["web"])
    workflows = [
        flow("plan web docs write", race),
        flow("plan web docs write", fan_out(at_most={"web": 2}, otherwise="write")),
    ]
    for workflow in workflows:
        again = Workflow.from_json(workflow.to_json())
        assert (again, again.version) == (workflow, workflow.version)
    drawn = [workflow.mermaid() for workflow in workflows]
    assert 'n_plan -- "first wins, optional" --> n_web' in drawn[0]
    assert 'n_plan -- "pick = both (at most 2 times)" --> n_web' in drawn[1]
    assert 'n_plan -- "bound is met" --> n_write' in drawn[1]


def test_workflows_without_what_is_new_keep_their_version():
    both = Workflow(
        name="both",
        state=Ask,
        nodes={name: noting() for name in ("plan", "one", "two", "more", "join")},
        edges=[
            Chain(START, "plan"),
            Parallel("plan", to=["one", "two"], join="join"),
            Chain("two", "more"),
            Chain("join", END),
        ],
    )
    for edge in (*both.edges, *ask().edges):
        assert not {"optional", "wait_for", "at_most", "otherwise"} & edge.model_dump(exclude_defaults=True).keys()
    said = both.to_json()
    assert '{"join":"join","kind":"engine.definition.edges:Parallel","source":"plan","to":["one","two"]}' in said


def test_the_edge_that_changed_is_named():
    old, new = looping(at_most={"draft": 2}, otherwise="give-up"), looping(at_most={"draft": 3}, otherwise="give-up")
    found = changes({"definition": old.to_json()}, {"definition": new.to_json()})
    assert found == ["the branch after 'check' changed (at_most)"]
    one, other = flow("plan web docs write", FORK), flow("plan web docs write", fan_out())
    assert changes({"definition": one.to_json()}, {"definition": other.to_json()}) == [
        "the branch after 'plan' is new",
        "the parallel ways after 'plan' are gone",
    ]
    chained = flow("plan web docs write", Chain("plan", "web", "docs", "write"))
    assert "the chains changed" in changes({"definition": one.to_json()}, {"definition": chained.to_json()})
