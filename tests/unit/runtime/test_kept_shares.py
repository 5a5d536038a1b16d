"""Shares of a budget that are kept for a node: others cannot spend them, and no tree of accounts passes a limit."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from engine import Budget, DefinitionError, Generate, Retry, Subflow
from engine.errors import BudgetExceeded
from engine.testing import StillClock
from engine.usage import Account, Amount, KeptAccount, Limits
from tests.flows import app_for, line, run_id, scripted

ONCE = Retry(attempts=1)
PASSED_ON = {"input": {"question": "question"}, "into": {"answer": "answer"}}


def ask(**fields: object) -> Generate:
    return Generate(**({"model": "large", "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields))


async def test_others_cannot_spend_what_is_kept_for_the_final_answer():
    budget = Budget(calls=3, keep={"answer": 0.4})
    nodes = (("first", ask()), ("second", ask(fallback="answer")), ("answer", ask(max_visits=2)))
    async with app_for(line(*nodes, budget=budget), large=scripted("x")) as app:
        result = await app.run("line", {"question": "q"})
        steps = [(step.node_name, step.status) for step in await app.ledger.steps(result.run_id)]
    assert steps == [("first", "ok"), ("second", "failed")]
    assert result.status == "budget_exceeded"
    budget = Budget(tokens=400, keep={"answer": 0.25})
    nodes = (("first", ask(max_tokens=1_000)), ("answer", ask()))
    async with app_for(line(*nodes, budget=budget), large=scripted("x", output_tokens=1_000)) as app:
        result = await app.run("line", {"question": "q"})
        first, answer = await app.ledger.calls(result.run_id)
    assert (result.status, first.charged_tokens <= 300) == ("succeeded", True)
    assert answer.request_max_tokens == 50


async def test_a_share_is_kept_inside_a_sub_workflow_too():
    inner = line(
        ("first", ask(max_tokens=1_000)),
        ("answer", ask()),
        name="inner",
        budget=Budget(tokens=400, keep={"answer": 0.25}),
    )
    outer = line(("sub", Subflow(workflow=inner, input={"question": "question"}, into={"answer": "answer"})))
    async with app_for(outer, large=scripted("x", output_tokens=1_000)) as app:
        result = await app.run("line", {"question": "q"})
        assert [call.request_max_tokens for call in await app.ledger.calls(result.run_id)][1] == 50
    assert result.status == "succeeded"


@pytest.mark.parametrize("within", [False, True])
async def test_a_run_that_goes_on_keeps_what_is_not_spent_yet(tmp_path, within):
    database, clock = f"sqlite:///{tmp_path}/runs.db", StillClock()
    workflow = line(
        ("first", ask(retry=ONCE)),
        ("answer", ask(retry=ONCE)),
        ("last", ask(retry=ONCE)),
        budget=Budget(tokens=900, calls=4, keep={"answer": 0.25}),
    )
    if within:
        workflow = line(("sub", Subflow(workflow=workflow.model_copy(update={"name": "inner"}), **PASSED_ON)))
    script = ["x", "y", TimeoutError(), "z"]
    async with app_for(workflow, database=database, clock=clock, large=scripted(*script)) as app:
        failed = await app.run("line", {"question": "q"}, run_id=run_id(7))
        assert failed.status == "failed"
    async with app_for(workflow, database=database, clock=clock, large=scripted("z")) as app:
        result = await app.resume(failed.run_id)
        assert (result.status, result.calls) == ("succeeded", 4)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(tokens=100, keep={"nobody": 0.1}), "keeps a share for 'nobody', which is not a node"),
        (Budget(calls=2, keep={"draft": 0.6, "other": 0.6}), "keeps 4 calls of 2: keep less"),
        (Budget(seconds=5, keep={"draft": 0.1}), "keeps shares of limits, and has none"),
    ],
)
def test_what_cannot_be_kept_is_said_before_any_run(budget, said):
    with pytest.raises(DefinitionError, match=said):
        line(("draft", ask()), ("other", ask()), budget=budget)


def test_a_node_of_its_own_keeps_nothing():
    with pytest.raises(DefinitionError, match="a warning or shares: those are the workflow's"):
        line(("draft", ask(budget=Budget(calls=2, keep={"draft": 0.1}))))


class Trees(RuleBasedStateMachine):
    """Reservations in a random tree of accounts, some of which have a share kept for them, settled in any order."""

    reservations = Bundle("reservations")

    @initialize(data=st.data())
    def grow(self, data):
        self.accounts: list[Account] = [Account(Limits(tokens=1_000, calls=20))]
        for _ in range(data.draw(st.integers(1, 6))):
            parent = data.draw(st.sampled_from(self.accounts))
            room = (parent.left("tokens") or 0, parent.left("calls") or 0)
            if data.draw(st.booleans()):
                kept = Amount(tokens=data.draw(st.integers(0, room[0])), calls=data.draw(st.integers(0, room[1])))
                limited = parent.limits != Limits()
                self.accounts.append(KeptAccount.of(parent, kept) if limited else Account(parent=parent))
            else:
                self.accounts.append(Account(Limits(tokens=data.draw(st.integers(0, 600))), parent=parent))

    @rule(target=reservations, data=st.data(), tokens=st.integers(0, 400))
    def reserve(self, data, tokens):
        account, amount = data.draw(st.sampled_from(self.accounts)), Amount(tokens=tokens, calls=1)
        fits = tokens <= (account.left("tokens") or 0) and (account.left("calls") or 0) >= 1
        try:
            account.reserve(amount)
        except BudgetExceeded:
            assert not fits
            return None
        assert fits
        return account, amount

    @rule(held=consumes(reservations), share=st.integers(0, 100))
    def settle(self, held, share):
        if held is not None:
            account, amount = held
            account.settle(amount, Amount(tokens=amount.tokens * share // 100, calls=1))

    @rule(held=consumes(reservations))
    def release(self, held):
        if held is not None:
            held[0].release(held[1])

    @invariant()
    def nothing_passes_a_limit_and_what_is_kept_is_there(self):
        for account in self.accounts if hasattr(self, "accounts") else ():
            taken = account.settled + account.reserved + account.held
            if account.limits.tokens is not None:
                assert taken.tokens <= account.limits.tokens
            if isinstance(account, KeptAccount) and account.parent is self.accounts[0]:
                unspent = account.kept.tokens - account.settled.tokens - account.reserved.tokens
                assert (account.left("tokens") or 0) >= max(unspent, 0)


TestTrees = Trees.TestCase
