"""Run many runs at once against a provider that refuses what passes its limits, with admission and without.

Time is virtual: it passes when nothing else is left to do. Prints the share of requests that were refused (429), how
much of the provider's limit was used, how the runs ended, and what a small tenant waits for beside a flood.

    uv run python benchmarks/admission.py
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.limited_model import LimitedModel
from engine import END, START, App, Chain, Generate, Model, Price, Prompt, RateLimit, Retry, State, Workflow
from engine.testing import VirtualClock, in_virtual_time

REQUESTS, TOKENS = 300, 50_000


LEDGERS: list[Any] = []


class Ask(State):
    """A question and its answer."""

    question: str
    answer: str = ""


def workflow(calls: int) -> Workflow:
    """Give a workflow of so many model calls, one after another."""
    node = Generate(
        model="large",
        prompt=Prompt(text="{question}"),
        into="answer",
        max_tokens=100,
        retry=Retry(attempts=4, max_wait=60),
    )
    names = [f"draft-{number}" for number in range(1, calls + 1)]
    return Workflow(name="ask", state=Ask, nodes=dict.fromkeys(names, node), edges=[Chain(START, *names, END)])


async def load(runs: int, calls: int, *, tokens_of_a_call: int, admits: bool) -> dict[str, Any]:
    """Begin all runs at once, wait for their ends, and say what the provider saw."""
    clock = VirtualClock()
    read = tokens_of_a_call * 3 // 5
    chat = LimitedModel(
        clock=clock,
        requests_per_minute=REQUESTS,
        tokens_per_minute=TOKENS,
        input_tokens=read,
        output_tokens=tokens_of_a_call - read,
    )
    limits = {"benchmarks": RateLimit(requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)} if admits else {}
    role, ended = Model(chat, price=Price(input="1", output="1")), Counter[str]()
    async with App(
        workflows=[workflow(calls)], models={"large": role}, database="sqlite:///:memory:", limits=limits, clock=clock
    ) as app:
        LEDGERS[:] = [app.ledger]
        question = {"question": "How long do refunds take? " * (read // 12)}
        for result in await asyncio.gather(*(app.run("ask", question) for _ in range(runs))):
            ended[result.error.type if result.error else "succeeded"] += 1
    minutes = asyncio.get_running_loop().time() / 60
    possible = min(REQUESTS, TOKENS / tokens_of_a_call) * minutes
    return {
        "requests": chat.answered + chat.refused,
        "429s": chat.refused,
        "share_of_429s": round(chat.refused / (chat.answered + chat.refused), 4),
        "minutes": round(minutes, 1),
        "share_of_limit_used": round(chat.answered / possible, 3),
        "runs": dict(ended),
    }


async def tenants(flood: int, few: int) -> dict[str, Any]:
    """Let one tenant begin many runs and another a few, and say how long theirs take."""
    clock = VirtualClock()
    chat = LimitedModel(clock=clock, requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)
    limits = {"benchmarks": RateLimit(requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)}
    took: dict[str, list[float]] = {"flood": [], "small": []}
    role = Model(chat, price=Price(input="1", output="1"))
    async with App(
        workflows=[workflow(1)], models={"large": role}, database="sqlite:///:memory:", limits=limits, clock=clock
    ) as app:
        LEDGERS[:] = [app.ledger]

        async def one(tenant: str, after: float) -> None:
            await clock.sleep(after)
            began = clock.monotonic_ns()
            await app.run("ask", {"question": "How long do refunds take?"}, tenant=tenant)
            took[tenant].append((clock.monotonic_ns() - began) / 1e9)

        await asyncio.gather(*(one("flood", 0) for _ in range(flood)), *(one("small", 1) for _ in range(few)))
    return {f"p95_s_{name}": round(p95(seconds), 1) for name, seconds in took.items()}


def virtually(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Do work in virtual time, which does not pass while the ledger writes."""
    return in_virtual_time(work, is_idle=lambda: all(ledger.is_idle for ledger in LEDGERS))


def p95(values: list[float]) -> float:
    """Give the 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def measure(runs: int, calls: int) -> dict[str, Any]:
    """Measure where requests are short and where tokens are, with admission and without, and how fair it is."""
    figures: dict[str, Any] = {}
    for short, tokens in (("requests", 120), ("tokens", 400)):
        for name, admits in (("with admission", True), ("without", False)):
            work = load(runs, calls, tokens_of_a_call=tokens, admits=admits)
            figures[f"{short} are short, {name}"] = virtually(work)
    figures["a tenant with 3 runs beside one with 600"] = virtually(tenants(600, 3))
    return figures


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs that begin at once")
    parser.add_argument("--calls", type=int, default=8, help="model calls of a run, one after another")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.runs, options.calls)
    if options.json:
        print(json.dumps(figures))
        return
    for name, found in figures.items():
        print(f"{name}\n  " + "  ".join(f"{what}: {figure}" for what, figure in found.items()))


if __name__ == "__main__":
    main()
