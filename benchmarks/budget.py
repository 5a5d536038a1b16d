"""How far budgets can be overspent: flowledger, UsageLimits of Pydantic AI and ModelCallLimit of LangChain at one work.

Sixteen branches ask a model at once, each for an answer of 1,000 tokens, under a limit of 4,000 tokens or four calls.
Further rows are flowledger alone: failures that are billed, a run that is cancelled or killed again and again and
resumed, a text that has ten times the tokens that one would guess, sub-workflows, and many runs of one tenant in a
window, in one process and in two. What finds the budget used up writes a canned answer, so that the others go on. The
factor is what was spent, as the model itself counts it, to the limit.

    uv run --with pydantic-ai-slim --with langchain python benchmarks/budget.py
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
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
from engine.errors import CallTimeout, EngineError, InputError
from engine.testing import killed

BRANCHES, LIMIT_TOKENS, LIMIT_CALLS, ANSWER = 16, 4_000, 4, 1_000
Spent = tuple[int, int]  # what was spent, and the limit


class Counting(BaseChatModel):
    """A model that writes as much as it may, and counts what it is asked for; some requests time out and are billed.

    Attributes:
        counts_input: whether every byte that it reads counts as a token.
        file: where it writes down what it wrote and read, a byte a token, so that processes add up.
    """

    fails_every: int = 0
    counts_input: bool = False
    file: str | None = None
    _calls: int = PrivateAttr(default=0)
    _tokens: int = PrivateAttr(default=0)

    @property
    def calls(self) -> int:
        """How many requests there were."""
        return self._calls

    @property
    def tokens(self) -> int:
        """How many tokens were used."""
        return self._tokens

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
        raise NotImplementedError

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        del stop, run_manager
        wrote = min(int(options.get("max_tokens") or ANSWER), ANSWER)
        read = sum(len(message.text.encode()) for message in messages) if self.counts_input else 0
        self._calls += 1
        self._tokens += read + wrote
        self._write_down(read + wrote)
        await asyncio.sleep(0)  # all branches are under way before the first has ended
        if self.fails_every and self._calls % self.fails_every == 0:
            raise CallTimeout("too slow, and billed all the same")
        usage: Any = {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote}
        said = AIMessage("fine", usage_metadata=usage, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=said)])

    def _write_down(self, tokens: int) -> None:
        if self.file is not None:
            with Path(self.file).open("a", encoding="ascii") as file:
                file.write("x" * tokens)


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
    fields = {"canned": {"answer": "-"}, "prompt": Prompt(text="x")} | fields
    return Generate(
        model="large",
        into="answer",
        max_tokens=ANSWER,
        retry=Retry(attempts=2, wait=0),
        **fields,
    )


ONE_ANSWER = Workflow(
    name="work",
    state=Work,
    budget=Budget(usd="0.001"),
    nodes={"draft": draft()},
    edges=[Chain(START, "draft", END)],
)


def side_by_side(node: Any, budget: Budget) -> Workflow:
    """Give a workflow that runs a node for every item at once."""
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
    options = {"database": "sqlite:///:memory:"} | limits
    async with App(workflows=[workflow], models={"large": priced}, **options) as app:
        await asyncio.gather(*(app.run("work", {}, tenant="acme") for _ in range(runs)))


async def parallel() -> Spent:
    """Sixteen branches of one run."""
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
    """Sixteen sub-workflows, each with a budget of its own, in a run that has less than they have together."""
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
    """Twenty runs of one tenant at once, with four answers' worth in the window."""
    model = Counting()
    await ours(ONE_ANSWER, model, runs=20, spend_limits=[SpendLimit(per="tenant", window="1d", usd="0.004")])
    return model.tokens, LIMIT_TOKENS


async def low_estimates() -> Spent:
    """A text of which every byte is a token, ten times what one would guess, and answers that must be cut to fit."""
    model = Counting(counts_input=True)
    await ours(side_by_side(draft(prompt=Prompt(text="🧿" * 120)), Budget(tokens=LIMIT_TOKENS)), model)
    return model.tokens, LIMIT_TOKENS


def one_after_another() -> Workflow:
    """Give six nodes in a row."""
    names = [f"draft-{number}" for number in range(6)]
    return Workflow(
        name="work",
        state=Work,
        budget=Budget(tokens=LIMIT_TOKENS),
        nodes={name: draft() for name in names},
        edges=[Chain(START, *names, END)],
    )


async def cancelled() -> Spent:
    """A run of sixteen branches that is cancelled in the middle, and resumed, four times."""
    model, workflow = Counting(), side_by_side(draft(), Budget(tokens=LIMIT_TOKENS))
    priced = Model(model, price=Price(input="0", output="1"))
    async with App(workflows=[workflow], models={"large": priced}, database="sqlite:///:memory:") as app:
        run_id = "c" * 32
        for turns in (30, 60, 90, 120):
            running = asyncio.create_task(app.run("work", {}, run_id=run_id))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        with suppress(EngineError):
            await app.resume(run_id)
    return model.tokens, LIMIT_TOKENS


async def go_on(folder: str) -> None:
    """Begin the run of a folder, or go on with it."""
    model = Model(Counting(file=f"{folder}/tokens"), price=Price(input="0", output="1"))
    database = f"sqlite:///{folder}/runs.db"
    async with App(workflows=[one_after_another()], models={"large": model}, database=database) as app:
        try:
            await app.resume("d" * 32, take_over=True)
        except InputError:
            await app.run("work", {}, run_id="d" * 32)


async def killed_again_and_again() -> Spent:
    """A run whose process is killed when an answer has come and is not written yet, four times, and resumed."""
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2, 1, 1):
            await asyncio.to_thread(killed, go_on, folder, at="after answer", number=number)
        with suppress(EngineError):
            await go_on(folder)
        return size_of(f"{folder}/tokens"), LIMIT_TOKENS


def size_of(file: str) -> int:
    """Give the bytes of a file."""
    return Path(file).stat().st_size


async def two_processes() -> Spent:
    """Two apps on one ledger, with twenty runs of one tenant each, and four answers' worth in the window."""
    model = Counting()
    with tempfile.TemporaryDirectory() as folder:
        window = [SpendLimit(per="tenant", window="1d", usd="0.004")]
        database = f"sqlite:///{folder}/runs.db"
        await asyncio.gather(
            *(ours(ONE_ANSWER, model, runs=20, spend_limits=window, database=database) for _ in range(2))
        )
    return model.tokens, LIMIT_TOKENS


async def pydantic_ai() -> Spent:
    """Sixteen agents at once that share a usage, as its manual says for delegation."""
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
    """Sixteen agents at once with one instance of the middleware."""
    agents: Any = import_module("langchain.agents")  # as above
    limit: Any = import_module("langchain.agents.middleware").ModelCallLimitMiddleware
    model = Counting()
    agent = agents.create_agent(model, middleware=[limit(run_limit=LIMIT_CALLS)])
    await asyncio.gather(*(agent.ainvoke({"messages": [("user", "x")]}) for _ in range(BRANCHES)))
    return model.calls, LIMIT_CALLS


ROWS: list[tuple[str, str, str, Callable[[], Awaitable[Spent]]]] = [
    ("flowledger", "", "16 branches, tokens", parallel),
    ("Pydantic AI, UsageLimits", "pydantic_ai", "16 branches, tokens", pydantic_ai),
    ("flowledger", "", "16 branches, calls", calls),
    ("LangChain, ModelCallLimit", "langchain", "16 branches, calls", langchain_limit),
    ("flowledger", "", "16 branches, half of the requests fail and are billed", billed_failures),
    ("flowledger", "", "16 sub-workflows with budgets of their own", sub_workflows),
    ("flowledger", "", "16 branches, cancelled and resumed four times", cancelled),
    ("flowledger", "", "6 nodes, killed and resumed four times", killed_again_and_again),
    ("flowledger", "", "16 branches, ten times the tokens one would guess", low_estimates),
    ("flowledger", "", "20 runs of a tenant in a window", tenant_window),
    ("flowledger", "", "40 runs of a tenant in a window, two apps on one ledger", two_processes),
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
