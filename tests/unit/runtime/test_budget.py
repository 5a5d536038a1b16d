"""The budget: what is reserved, what is settled, and that no interleaving of calls passes a limit."""

import asyncio
from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from langchain_core.messages import HumanMessage

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.node import Node
from engine.definition.policies import Budget, Retry
from engine.definition.state import Append, State
from engine.definition.workflow import Workflow
from engine.errors import BudgetExceeded, ConfigurationError, Overloaded
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.testing import ScriptedModel
from engine.usage import Account, Amount, Limits, Price, Usage
from tests.flows import Ask, app_for, ask, line, noting, scripted


def text(max_tokens: int = 50, **fields) -> Generate:
    return Generate(model="large", prompt="{question}", into="answer", max_tokens=max_tokens, **fields)


async def test_what_a_call_used_is_settled_and_the_rest_given_back():
    async with app_for(line(("draft", text()), budget=Budget(tokens=200)), large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(result.run_id)
        assert (call.charged_tokens, call.charged_nano_usd) == (15, 15_000)


async def test_an_answer_is_clamped_to_what_the_budget_has_left():
    model = ScriptedModel(script=["fine"])
    async with app_for(line(("draft", text(5_000)), budget=Budget(tokens=200)), large=model) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.SUCCEEDED
        (call,) = await app.ledger.calls(result.run_id)
        assert call.request_max_tokens < 200
        assert model.options[0]["max_tokens"] == call.request_max_tokens


async def test_an_answer_is_clamped_to_what_the_dollars_allow():
    workflow = line(("draft", text(100_000)), budget=Budget(usd="0.0005"))
    async with app_for(workflow, large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(result.run_id)
        assert 400 < call.request_max_tokens < 500


async def test_a_call_that_could_pass_the_budget_is_not_made():
    model = ScriptedModel(script=["fine"])
    async with app_for(line(("draft", text()), budget=Budget(tokens=10)), large=model) as app:
        result = await app.run("line", {"question": "a question of some length, too long for ten tokens"})
        assert result.status is RunStatus.BUDGET_EXCEEDED
        assert "the budget has 10 tokens left and" in result.error.message
        assert "raise the workflow's Budget(tokens=...)" in result.error.message
        assert model.asked == []


async def test_an_exhausted_budget_is_no_reason_to_fall_back():
    workflow = Workflow(
        name="poor",
        state=Ask,
        nodes={"draft": text(fallback="other"), "other": noting()},
        edges=[Chain(START, "draft", END), Chain("other", END)],
        budget=Budget(tokens=5),
    )
    async with app_for(workflow, large=scripted("fine")) as app:
        assert (await app.run("poor", {"question": "q"})).status is RunStatus.BUDGET_EXCEEDED


async def test_calls_and_steps_are_limited_too():
    async with app_for(ask(budget=Budget(calls=1)), large=scripted("good")) as app:
        result = await app.run("ask", {"question": "q"})
        assert "the budget has 0 calls left and 1 could be needed" in result.error.message
    async with app_for(ask(budget=Budget(steps=2)), large=scripted("good")) as app:
        result = await app.run("ask", {"question": "q"})
        assert "the budget has 0 steps left" in result.error.message


async def test_usage_that_nobody_tells_is_charged_as_the_most_it_can_be():
    silent = Model(ScriptedModel(script=["fine"], input_tokens=None), price=Price(input="1", output="1"))
    async with app_for(line(("draft", text()), budget=Budget(tokens=500)), large=silent) as app:
        result = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(result.run_id)
        assert (call.usage_input_tokens, call.cost_nano_usd, call.cost_source) == (None, None, "unknown")
        assert call.charged_tokens > 50
        assert result.cost_usd is None


async def test_a_failure_that_may_be_billed_is_charged_and_one_that_is_not_is_free():
    model = scripted(TimeoutError(), Overloaded("busy"), "fine")
    async with app_for(line(("draft", text()), budget=Budget(tokens=1_000)), large=model) as app:
        result = await app.run("line", {"question": "q"})
        timed_out, busy, fine = await app.ledger.calls(result.run_id)
        assert timed_out.charged_tokens > 50
        assert timed_out.cost_nano_usd is None
        assert (busy.charged_tokens, busy.cost_nano_usd) == (0, 0)
        assert fine.charged_tokens == 15


async def test_a_model_without_a_known_price_is_refused_where_dollars_are_limited():
    workflow = line(("draft", text()), budget=Budget(usd="1"))
    async with app_for(workflow, large=ScriptedModel(script=["fine"])) as app:
        with pytest.raises(ConfigurationError, match=r"the price of \S+:scripted .* is not known"):
            await app.run("line", {"question": "q"})


async def test_a_request_longer_than_the_node_allows_is_refused_before_it_is_sent():
    model = ScriptedModel(script=["fine"])
    async with app_for(line(("draft", text(max_input_tokens=20))), large=model) as app:
        result = await app.run("line", {"question": "word " * 100})
        assert result.error.type == "ContextTooLong"
        assert model.asked == []


class Notes(State):
    question: str
    texts: Annotated[list[str], Append()] = []


class Noting(Node):
    """Asks the model and appends what it says."""

    @property
    def reads(self):
        return ("question",)

    @property
    def writes(self):
        return {"texts": list[str]}

    @property
    def roles(self):
        return ("large",)

    @property
    def calls_per_visit(self):
        return 1

    async def run(self, inputs, ctx):
        reply = await ctx.generate("large", [HumanMessage(inputs["question"])], max_tokens=40)
        return {"texts": [reply.text]}


def fan(width: int, budget: Budget) -> Workflow:
    ways = [f"way{number}" for number in range(width)]
    quick = Retry(attempts=2, wait=0)
    return Workflow(
        name="fan",
        state=Notes,
        nodes={name: Noting(retry=quick) for name in ("fork", "join", *ways)},
        edges=[Chain(START, "fork"), Parallel("fork", to=ways, join="join"), Chain("join", END)],
        budget=budget,
    )


class Unsteady(ScriptedModel):
    """Answers, fails or hangs, as told; and looks at the account each time."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        number = len(self.asked)
        for _ in range(number % 3):
            await asyncio.sleep(0)
        if self.script[min(number, len(self.script) - 1)] == "hang":
            self._asked.append(list(messages))
            await asyncio.Event().wait()
        return await super()._agenerate(messages, stop, run_manager, **kwargs)


SAID = st.sampled_from(["fine", TimeoutError(), Overloaded("busy"), ConnectionError("cut"), "hang"])


@settings(max_examples=40, deadline=None)
@given(
    script=st.lists(SAID, min_size=1, max_size=12),
    tokens=st.integers(20, 600),
    width=st.integers(2, 6),
    output_tokens=st.integers(0, 100),
    cancel_after=st.integers(0, 60) | st.none(),
)
def test_no_interleaving_of_parallel_ways_failures_and_cancellations_passes_the_budget(
    script, tokens, width, output_tokens, cancel_after
):
    model = Unsteady(script=script, input_tokens=3, output_tokens=output_tokens)
    workflow = fan(width, Budget(tokens=tokens, usd=Decimal(tokens) / 1_000_000, calls=20, seconds=0.05))

    async def run() -> tuple[int, int, int]:
        async with app_for(workflow, large=Model(model, price=Price(input="1", output="1"))) as app:
            running = asyncio.create_task(app.run("fan", {"question": "q"}))
            if cancel_after is not None:
                for _ in range(cancel_after):
                    await asyncio.sleep(0)
                running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            calls = [call for run in await app.ledger.runs() for call in await app.ledger.calls(run.run_id)]
            return (
                sum(call.charged_tokens for call in calls),
                sum(call.charged_nano_usd for call in calls),
                len(calls),
            )

    charged_tokens, charged_nano_usd, calls = asyncio.run(run())
    assert charged_tokens <= tokens
    assert charged_nano_usd <= tokens * 1_000
    assert calls <= 20


class Accounts(RuleBasedStateMachine):
    """Reservations in a tree of accounts, settled and released in any order."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.run = Account(Limits(tokens=1_000, nano_usd=5_000, calls=10))
        self.node = Account(Limits(tokens=400), parent=self.run)

    @rule(target=reservations, tokens=st.integers(0, 500), nano_usd=st.integers(0, 2_000), deep=st.booleans())
    def reserve(self, tokens, nano_usd, deep):
        account, amount = self.node if deep else self.run, Amount(tokens=tokens, nano_usd=nano_usd, calls=1)
        try:
            account.reserve(amount)
        except BudgetExceeded:
            return None
        return account, amount

    @rule(held=consumes(reservations), share=st.integers(0, 100))
    def settle(self, held, share):
        if held is not None:
            account, amount = held
            spent = Amount(tokens=amount.tokens * share // 100, nano_usd=amount.nano_usd * share // 100, calls=1)
            account.settle(amount, spent)

    @rule(held=consumes(reservations))
    def release(self, held):
        if held is not None:
            account, amount = held
            account.release(amount)

    @invariant()
    def nothing_passes_a_limit(self):
        for account in (self.run, self.node):
            held = account.settled + account.reserved
            assert held.tokens <= (account.limits.tokens or 0)
            assert min(account.reserved.tokens, account.reserved.nano_usd, account.reserved.calls) >= 0
        held = self.run.settled + self.run.reserved
        assert held.nano_usd <= 5_000
        assert held.calls <= 10


TestAccounts = Accounts.TestCase


def test_money_is_whole_and_rounded_up():
    price = Price(input="0.25", output="2", cache_read="0.025")
    assert price.cost(Usage(input_tokens=1_000, output_tokens=100)) == 450_000
    assert price.cost(Usage(input_tokens=1_000, cache_read_tokens=1_000)) == 25_000
    assert Price(input="0.0001", output="0").cost(Usage(input_tokens=1)) == 1
