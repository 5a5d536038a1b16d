"""What benchmarks/worker_chaos.py runs: errands that act on a world outside the ledger, in processes of their own.

The world is a folder: an effect takes hold by making a file that nobody else can make, named after what is done and the
idempotency key, as a provider does that honours keys. Each request that arrives is a line of a log, also those that the
key answered.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine import END, START, App, CallTool, Chain, Compute, State, Worker, Workflow
from engine.runtime.enqueue import QueuePlace, RunRequest

WORLD = "FLOWLEDGER_CHAOS_WORLD"  # the folder in which effects take hold
AT_ONCE = 10
TENANTS = 4


class Errand(State):
    """A run with a number and three rests, in seconds."""

    number: int
    rests: list[float]
    looked: bool = False
    receipt: str = ""
    posted: str = ""
    done: bool = False


async def look(rests: list[float]) -> bool:
    """Take a while."""
    await asyncio.sleep(rests[0])
    return True


async def pay(number: int, rests: list[float], *, idempotency_key: str) -> str:
    """Act once; whatever freezes or dies may do so before or after it has acted."""
    await asyncio.sleep(rests[1] / 4)
    acted = act("pay", number, idempotency_key)
    await asyncio.sleep(rests[1] / 4)
    return acted


def paid(idempotency_key: str) -> str | None:
    """Say whether that was done."""
    return idempotency_key if next(effects().glob(f"pay-*-{idempotency_key}"), None) else None


async def post(number: int, *, idempotency_key: str) -> str:
    """Act as often as one likes: the world knows the key."""
    return act("post", number, idempotency_key)


async def leave(rests: list[float]) -> bool:
    """Take a while."""
    await asyncio.sleep(rests[2])
    return True


ERRAND = Workflow(
    name="errand",
    state=Errand,
    nodes={
        "look": Compute(function=look, into="looked"),
        "pay": CallTool(
            tool=pay, args={"number": "number", "rests": "rests"}, into="receipt", effect="once", probe=paid
        ),
        "leave": Compute(function=leave, into="done"),
        "post": CallTool(tool=post, args={"number": "number"}, into="posted", effect="idempotent"),
    },
    edges=[Chain(START, "look", "pay", "leave", "post", END)],
)


def effects() -> Path:
    """Give the folder of what took hold."""
    return Path(os.environ[WORLD]) / "effects"


def act(what: str, number: int, key: str) -> str:
    """Ask the world for an effect; it takes hold once for a key."""
    append("arrivals", f"{what} {number} {key}")
    with suppress(FileExistsError):
        os.close(os.open(effects() / f"{what}-{number}-{key}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return key


def append(log: str, line: str) -> None:
    """Write a line at the end of a log of the world; it is whole, whoever is killed meanwhile."""
    file = os.open(Path(os.environ[WORLD]) / log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def lines(log: str) -> list[list[str]]:
    """Read a log, each line in words."""
    path = Path(os.environ[WORLD]) / log
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@dataclass(slots=True)
class Effects:
    """What took hold in the world.

    Attributes:
        times: how often each thing was done for each run.
        known: requests that arrived again and were answered by their key.
    """

    times: Counter[tuple[str, int]]
    known: int

    @classmethod
    def read(cls) -> "Effects":
        """Count it."""
        parts = [path.name.split("-") for path in effects().iterdir()]
        return cls(Counter((what, int(number)) for what, number, _ in parts), len(lines("arrivals")) - len(parts))


def fork(work: Callable[[], None]) -> int:
    """Do some work in a process of its own, and give its number; this one must have a single thread."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        log = os.open(Path(os.environ[WORLD]) / "processes.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def work(url: str, dispatcher: str | None) -> None:
    """Be a worker until told to drain, and write down how each run left it."""

    async def working() -> None:
        async with App(workflows=[ERRAND], database=url, dispatcher=dispatcher) as app:
            worker = Worker(app, concurrency=AT_ONCE)
            worker.on_end = lambda taken, status: append(
                "ends", f"{os.getpid()} {taken.record.run_id} {status.partition(':')[0]} {time.time():.3f}"
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.drain)
            await worker.run()

    asyncio.run(working())


def enqueue(url: str, dispatcher: str | None, rests: list[list[float]]) -> None:
    """Queue a run for each of these, in the lanes of some tenants."""

    async def queueing() -> None:
        async with App(workflows=[ERRAND], database=url, dispatcher=dispatcher) as app:
            requests = [
                RunRequest({"number": number, "rests": one}, place=QueuePlace(lane=f"tenant-{number % TENANTS}"))
                for number, one in enumerate(rests)
            ]
            for first in range(0, len(requests), 100):
                await app.enqueue_all("errand", requests[first : first + 100])

    asyncio.run(queueing())
