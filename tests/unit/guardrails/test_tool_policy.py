"""ToolPolicy lets a call through whose tool and arguments may be, and asks a person where the risk says so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Action, DefinitionError, GuardItem, Guardrail, Source, Stage, TextOrigin
from guardrails import ArgumentRule, ToolPolicy, ToolRule

USER = Source(name="question", origins=frozenset({TextOrigin.USER}), value="pay the bill")
READ = Source(name="read_file", origins=frozenset({TextOrigin.TOOL}), value="pay me")


async def said(guard, tool, arguments=None, sources=(USER,), stage=Stage.TOOL_ARGUMENTS):
    arguments = arguments or {}
    item = GuardItem(stage=stage, value=arguments, arguments=arguments, tool=tool, sources=sources)
    return [(verdict.action, verdict.reason) for _, verdict in await guard.check(item)]


async def test_only_listed_tools_are_called():
    guard = ToolPolicy(tools=["open_ticket"])
    assert await said(guard, "open_ticket", {"any": "thing"}) == []
    assert await said(guard, None) == []
    assert await said(guard, "delete_everything", stage=Stage.TOOL_OUTPUT) == []
    (blocked,) = await said(guard, "delete_everything")
    assert blocked == (Action.BLOCK, "the tool 'delete_everything' is not on the list of allowed tools (open_ticket)")


RISKS = ToolPolicy(tools={name: ToolRule(risk=name) for name in ("low", "medium", "high", "forbidden")})


@pytest.mark.parametrize(
    ("risk", "sources", "action"),
    [
        ("low", (USER, READ), None),
        ("medium", (USER,), None),
        ("medium", (USER, READ), Action.REQUIRE_APPROVAL),
        ("high", (USER,), Action.REQUIRE_APPROVAL),
        ("forbidden", (USER,), Action.BLOCK),
    ],
)
async def test_the_risk_of_a_tool_decides_and_so_does_what_was_read(risk, sources, action):
    assert [one for one, _ in await said(RISKS, risk, sources=sources)] == ([action] if action else [])


RULES = {
    "amount": ArgumentRule(least=0, most=100),
    "currency": ArgumentRule(one_of=["EUR", "USD"]),
    "code": ArgumentRule(pattern="[A-Z]{2}-[0-9]{4}"),
    "url": ArgumentRule(hosts=["acme.com"]),
    "file": ArgumentRule(beneath=["/srv/data"]),
    "to": ArgumentRule(longest=3, pattern="[a-z]+"),
}
LIMITED = ToolPolicy(tools={"pay": ToolRule(arguments=RULES)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", 0),
        ("amount", 99.5),
        ("currency", "EUR"),
        ("code", "AB-1234"),
        ("url", "https://acme.com/x?y=z"),
        ("url", "http://shop.ACME.com:8080"),
        ("file", "/srv/data/x/y.txt"),
        ("file", "x/../y.txt"),
        ("to", ["ann", "bob"]),
        ("other", "whatever"),
    ],
)
async def test_arguments_that_may_be_pass(name, value):
    assert await said(LIMITED, "pay", {name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("amount", 100.01, "is more than 100"),
        ("amount", -1, "is less than 0"),
        ("amount", float("nan"), "is less than 0"),
        ("amount", True, "is not a number"),
        ("amount", "5", "is not a number"),
        ("amount", [5, 500], "is more than 100"),
        ("currency", "GBP", "is not one of EUR, USD"),
        ("code", "AB-1234; drop", "is not of the form"),
        ("code", "AB-1234\n", "is not of the form"),
        ("url", "https://evil.com", "is not a link to acme.com"),
        ("url", "https://acme.com.evil.com", "is not a link"),
        ("url", "https://evilacme.com", "is not a link"),
        ("url", "https://acme.com@evil.com", "is not a link"),
        ("url", "https://evil.com\\@acme.com", "is not a link"),
        ("url", "https://evil.com#@acme.com", "is not a link"),
        ("url", "javascript:alert(1)//acme.com", "is not a link"),
        ("url", "//acme.com", "is not a link"),
        ("url", "https://acmе.com", "is not a link"),
        ("url", "https://acme.com:x", "is not a link"),
        ("file", "/etc/passwd", "is not a path beneath /srv/data"),
        ("file", "/srv/data/../x", "is not a path"),
        ("file", "../x", "is not a path"),
        ("file", "/srv/database", "is not a path"),
        ("file", "~/x", "is not a path"),
        ("file", "..\\x", "is not a path"),
        ("file", "%2e%2e/x", "is not a path"),
        ("file", "x\0y", "is not a path"),
        ("file", "", "is not a path"),
        ("to", ["a", "b", "c", "d"], "is longer than 3"),
        ("to", {"name": "A"}, "is not of the form"),
    ],
)
async def test_arguments_that_may_not_be_are_blocked_with_the_reason(name, value, why):
    ((action, reason),) = await said(LIMITED, "pay", {name: value})
    assert action is Action.BLOCK
    assert reason.startswith(f"pay: the argument {name!r} {why}")


async def test_an_argument_can_be_required_and_a_schema_holds_for_all_of_them():
    schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    guard = ToolPolicy(tools={"t": ToolRule(arguments={"a": ArgumentRule(required=True)}, document=schema)})
    assert await said(guard, "t", {"a": 1}) == []
    assert await said(guard, "t", {}) == [(Action.BLOCK, "t: the argument 'a' is missing")]
    ((_, reason),) = await said(guard, "t", {"a": 1, "b": 2})
    assert "'b' was unexpected" in reason


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (lambda: ArgumentRule(pattern="(?=x)"), "is none for RE2"),
        (lambda: ArgumentRule(least=2, most=1), "least 2 is more than most 1"),
        (lambda: ToolRule(document={"type": "nonsense"}), "document is not a JSON Schema"),
        (lambda: ToolRule(risk="some"), "'low', 'medium', 'high' or 'forbidden'"),
    ],
)
def test_rules_that_cannot_be_are_told_when_they_are_built(build, fault):
    with pytest.raises(DefinitionError, match=fault.replace("(", r"\(")):
        build()


def test_it_survives_json():
    assert Guardrail.load(LIMITED.model_dump(mode="json")) == LIMITED
    assert ToolPolicy(tools=["a"]) == ToolPolicy(tools={"a": ToolRule()})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*RULES]),
        st.recursive(
            st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()), st.lists, max_leaves=4
        ),
    )
)
async def test_no_arguments_crash_it(arguments):
    assert {action for action, _ in await said(LIMITED, "pay", arguments)} <= {Action.BLOCK}
