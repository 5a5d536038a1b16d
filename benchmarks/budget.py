"""How far budgets can be overspent: flowledger, UsageLimits of Pydantic AI and ModelCallLimit of LangChain at one work.

Twelve branches ask a model at once, each for an answer of 1,000 tokens, under a limit of 3,000 tokens or three calls.
Further rows are flowledger alone: failures that are billed, sub-workflows, and many runs of one tenant in a window.
What finds the budget used up writes a canned answer, so that the others go on. The factor is what was spent, as the
model itself counts it, to the limit.

    uv run --with pydantic-ai-slim --with langchain python benchmarks/budget.py
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr
from rich.console import Console
from rich.table import Table

from engine import (
    END,
    START,
    App,
    Budget,
    Chain,
    Compute,
    ForEach,
    Generate,
    Model,
    Price,
    Prompt,
    Retry,
    SpendLimit,
    State,
    Subflow,
    Workflow,
)
from engine.errors import CallTimeout

BRANCHES, LIMIT_TOKENS, LIMIT_CALLS, ANSWER = 12, 3_000, 3, 1_000
Spent = tuple[int, int]  # what was spent, and the limit


class Counting(BaseChatModel):
    """A model that writes as much as it may, and counts what it is asked for; some requests time out and are billed."""

    fails_every: int = 0
    _calls: int = PrivateAttr(default=0)
    _tokens: int = PrivateAttr(default=0)

    @property
    def calls(self) -> int:
        """How many requests there were."""
        return self._calls

    @property
    def tokens(self) -> int:
        """How many tokens were written."""
        return self._tokens

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
        raise NotImplementedError

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        del messages, stop, run_manager
        wrote = min(int(options.get("max_tokens") or ANSWER), ANSWER)
        self._calls += 1
        self._tokens += wrote
        await asyncio.sleep(0)  # all branches are under way before the first has ended
        if self.fails_every and self._calls % self.fails_every == 0:
            raise CallTimeout("too slow, and billed all the same")
        usage: Any = {"input_tokens": 0, "output_tokens": wrote, "total_tokens": wrote}
        said = AIMessage("fine", usage_metadata=usage, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=said)])


class Work(State):
    """A list to work on."""

    items: list[int] = []  # noqa: RUF012 - pydantic copies the defaults of a state
    answers: list[str] = []  # noqa: RUF012
    answer: str = ""


def numbers(items: list[int]) -> list[int]:
    """Give what to work on."""
    return items or list(range(BRANCHES))


def draft(**fields: Any) -> Generate:
    """Ask for one answer, and do without it where the budget is used up."""
    fields = {"canned": {"answer": "-"}} | fields
    return Generate(
        model="large",
        prompt=Prompt(text="x"),
        into="answer",
        max_tokens=ANSWER,
        retry=Retry(attempts=2, wait=0),
        **fields,
    )


def side_by_side(node: Any, budget: Budget) -> Workflow:
    """Give a workflow that runs a node for twelve items at once."""
    return Workflow(
        name="work",
        state=Work,
        budget=budget,
        nodes={
            "list": Compute(function=numbers, into="items"),
            "each": ForEach(over="items", item="item", node=node, into="answers", at_once=BRANCHES, on_error="skip"),
        },
        edges=[Chain(START, "list", "each", END)],
    )


async def ours(workflow: Workflow, model: Counting, *, runs: int = 1, **limits: Any) -> None:
    """Run a workflow, several times at once, over a ledger in memory."""
    priced = Model(model, price=Price(input="0", output="1"))
    async with App(workflows=[workflow], models={"large": priced}, database="sqlite:///:memory:", **limits) as app:
        await asyncio.gather(*(app.run("work", {}, tenant="acme") for _ in range(runs)))


async def parallel() -> Spent:
    """Twelve branches of one run."""
    model = Counting()
    await ours(side_by_side(draft(), Budget(tokens=LIMIT_TOKENS)), model)
    return model.tokens, LIMIT_TOKENS


async def calls() -> Spent:
    """The same under a limit of calls."""
    model = Counting()
    await ours(side_by_side(draft(), Budget(calls=LIMIT_CALLS)), model)
    return model.calls, LIMIT_CALLS


async def billed_failures() -> Spent:
    """Every other request times out, and is billed."""
    model = Counting(fails_every=2)
    await ours(side_by_side(draft(), Budget(tokens=LIMIT_TOKENS)), model)
    return model.tokens, LIMIT_TOKENS


async def sub_workflows() -> Spent:
    """Twelve sub-workflows, each with a budget of its own, in a run that has less than they have together."""
    model = Counting()
    inner = Workflow(
        name="inner",
        state=Work,
        budget=Budget(tokens=2_000),
        nodes={"draft": draft()},
        edges=[Chain(START, "draft", END)],
    )
    node = Subflow(workflow=inner, input={}, into={"answer": "answer"})
    await ours(side_by_side(node, Budget(tokens=LIMIT_TOKENS)), model)
    return model.tokens, LIMIT_TOKENS


async def tenant_window() -> Spent:
    """Twenty runs of one tenant at once, with three answers' worth in the window."""
    model = Counting()
    workflow = Workflow(
        name="work",
        state=Work,
        budget=Budget(usd="0.001"),
        nodes={"draft": draft()},
        edges=[Chain(START, "draft", END)],
    )
    await ours(workflow, model, runs=20, spend_limits=[SpendLimit(per="tenant", window="1d", usd="0.003")])
    return model.tokens, LIMIT_TOKENS


async def pydantic_ai() -> Spent:
    """Twelve agents at once that share a usage, as its manual says for delegation."""
    theirs: Any = import_module("pydantic_ai")  # it is no dependency of this project
    model: Any = import_module("pydantic_ai.models.function").FunctionModel
    request_usage: Any = import_module("pydantic_ai.usage").RequestUsage
    wrote = 0

    async def answer(messages: Any, info: Any) -> Any:
        nonlocal wrote
        del messages, info
        wrote += ANSWER
        await asyncio.sleep(0)
        return theirs.ModelResponse(parts=[theirs.TextPart("fine")], usage=request_usage(output_tokens=ANSWER))

    agent, usage = theirs.Agent(model(answer)), theirs.RunUsage()

    async def one() -> None:
        try:
            await agent.run("x", usage=usage, usage_limits=theirs.UsageLimits(total_tokens_limit=LIMIT_TOKENS))
        except theirs.UsageLimitExceeded:
            return

    await asyncio.gather(*(one() for _ in range(BRANCHES)))
    return wrote, LIMIT_TOKENS


async def langchain_limit() -> Spent:
    """Twelve agents at once with one instance of the middleware."""
    agents: Any = import_module("langchain.agents")  # as above
    limit: Any = import_module("langchain.agents.middleware").ModelCallLimitMiddleware
    model = Counting()
    agent = agents.create_agent(model, middleware=[limit(run_limit=LIMIT_CALLS)])
    await asyncio.gather(*(agent.ainvoke({"messages": [("user", "x")]}) for _ in range(BRANCHES)))
    return model.calls, LIMIT_CALLS


ROWS: list[tuple[str, str, str, Callable[[], Awaitable[Spent]]]] = [
    ("flowledger", "", "12 branches, tokens", parallel),
    ("Pydantic AI, UsageLimits", "pydantic_ai", "12 branches, tokens", pydantic_ai),
    ("flowledger", "", "12 branches, calls", calls),
    ("LangChain, ModelCallLimit", "langchain", "12 branches, calls", langchain_limit),
    ("flowledger", "", "12 branches, half of the requests fail and are billed", billed_failures),
    ("flowledger", "", "12 sub-workflows with budgets of their own", sub_workflows),
    ("flowledger", "", "20 runs of a tenant in a window", tenant_window),
]


async def main() -> None:
    """Print the table."""
    table = Table("what", "work", "limit", "spent", "factor", box=None, pad_edge=False)
    for name, module, work, measure in ROWS:
        if module and not find_spec(module):
            table.add_row(name, work, "-", "not installed", "-")
            continue
        spent, limit = await measure()
        table.add_row(name, work, f"{limit:,}", f"{spent:,}", f"{spent / limit:.2f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
