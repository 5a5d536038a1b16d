"""Queued runs that do nothing: durable runs a second, start latency and recovery, beside other engines' queues.

Throughput: runs are queued, then one and two worker processes at 50 at a time begin; measured from the first start to
the moment when the last end is in the database. Latency: two idle workers, runs queued one by one, from the call that
queues one to its first statement. Recovery: of two workers with runs of two seconds one gets SIGKILL; measured until
the last run that it had starts again, or "never" after --patience seconds. Peers are measured where they are installed:

    uv run --with dbos --with procrastinate --with pgqueuer python benchmarks/queues.py --runs 300 --patience 15
    uv run --with dbos --with procrastinate --with pgqueuer python benchmarks/queues.py --runs 3000 --rounds 3
    uv run python benchmarks/queues.py --claims 300 --rows 1000000
    uv run python benchmarks/queues.py --fairness
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection as PipeConnection
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
from queue_contestants import NOOP, NOTES, PEERS, Contestant, Flowledger, contestants, work_apart
from rich.console import Console
from rich.table import Table

from engine import App

Figures = dict[str, float | None]
STDERR = Console(stderr=True)
START_PATIENCE = 60  # seconds
FORKING = multiprocessing.get_context("forkserver")
WIDE = 200  # columns of a table that goes to a file
KILLED = 80  # runs of two seconds each when one of two workers is killed


class Unable(Exception):
    """A contestant could not do what it was asked; the message says what."""


@contextmanager
def fresh(contestant: Contestant, postgres: str) -> Iterator[str]:
    """Give a contestant an empty database and a file for notes."""
    with tempfile.TemporaryDirectory(prefix="queues-") as folder:
        os.environ[NOTES] = f"{folder}/notes"
        Path(os.environ[NOTES]).touch()
        if contestant.on == "SQLite":
            url = f"sqlite:///{folder}/runs.db"
            asyncio.run(contestant.prepare(url))
            yield url
            return
        name = f"queues_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
            try:
                url = postgres.rpartition("/")[0] + f"/{name}"
                asyncio.run(contestant.prepare(url))
                yield url
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


class Workers:
    """Worker processes of a contestant, forked from one that has imported all; they connect, and begin when told."""

    def __init__(self, name: str, url: str, number: int) -> None:
        self.name, self.url = name, url
        self.processes: list[BaseProcess] = []
        self.lines: list[PipeConnection] = []
        for _ in range(number):
            mine, theirs = FORKING.Pipe()
            process = FORKING.Process(target=work_apart, args=(name, url, os.environ[NOTES], theirs), daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.lines.append(mine)
        for line in self.lines:
            if not line.poll(START_PATIENCE):
                raise Unable(f"{name}: a worker did not start within {START_PATIENCE} s")
            self._hear(line)

    def _hear(self, line: PipeConnection) -> None:
        try:
            line.recv()
        except EOFError:
            raise Unable(f"{self.name}: a worker ended before it could begin") from None

    def begin(self) -> None:
        """Let them work."""
        for line in self.lines:
            line.send("go")

    def check(self) -> None:
        """See that none has ended by itself."""
        ended = [process.exitcode for process in self.processes if process.exitcode not in (None, -signal.SIGKILL)]
        if ended:
            raise Unable(f"{self.name}: a worker ended with {ended[0]}")

    def cpu_ms(self) -> tuple[float, float]:
        """Give the milliseconds of CPU that they have used, and those of the PostgreSQL server for them."""
        own = sum(cpu_ms_of(process.pid) for process in self.processes)
        if self.url.startswith("sqlite"):
            return own, 0.0
        with psycopg.connect(self.url) as connection:
            here = "datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            found = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {here}").fetchall()  # type: ignore[arg-type]
        return own, sum(cpu_ms_of(pid) for (pid,) in found)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for process, line in zip(self.processes, self.lines, strict=True):
            process.kill()
            process.join()
            line.close()


def cpu_ms_of(pid: int | None) -> float:
    """Give the milliseconds of CPU that a process of this machine has used; of one that cannot be seen, none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def starts() -> dict[int, list[float]]:
    """Give when each run started, as often as it did."""
    found: dict[int, list[float]] = defaultdict(list)
    for line in Path(os.environ[NOTES]).read_text().splitlines():
        number, at = line.split()
        found[int(number)].append(float(at))
    return found


def wait_for(contestant: Contestant, working: Workers, runs: int, patience: float) -> float:
    """Wait until so many runs have ended, and give when that was."""
    ends = time.time() + patience
    while (finished := contestant.finished(working.url)) < runs:
        working.check()
        if time.time() > ends:
            raise Unable(f"{contestant.name}: {finished} of {runs} finished in {patience:.0f} s")
        time.sleep(0.02)
    return time.time()


async def enqueue(contestant: Contestant, url: str, numbers: Sequence[int], seconds: float = 0.0) -> float:
    """Queue runs, and say how many a second."""
    async with contestant.enqueuing(url) as put:
        began = time.perf_counter()
        await put(numbers, seconds)
        return len(numbers) / (time.perf_counter() - began)


def throughput(name: str, contestant: Contestant, runs: int, workers: int, postgres: str) -> Figures:
    """Measure durable runs a second."""
    with fresh(contestant, postgres) as url, Workers(name, url, workers) as working:
        queued = asyncio.run(enqueue(contestant, url, range(runs)))
        before = working.cpu_ms()
        working.begin()
        end = wait_for(contestant, working, runs, patience=60 + runs / 20)
        after = working.cpu_ms()
        first = min(at for times in starts().values() for at in times)
        client, server = ((now - then) / runs for now, then in zip(after, before, strict=True))
        found: Figures = {"queued/s": queued, f"runs/s, {workers}": runs / (end - first)}
        return found | {f"worker ms/run, {workers}": client, f"server ms/run, {workers}": server}


async def one_by_one(contestant: Contestant, url: str, numbers: Sequence[int], gap: float) -> dict[int, float]:
    """Queue runs one by one, a gap apart on the average, and give when each call began."""
    queued: dict[int, float] = {}
    async with contestant.enqueuing(url) as put:
        for number in numbers:
            queued[number] = time.time()
            await put([number], 0.0)
            await asyncio.sleep(gap * (0.5 + number * 7 % 11 / 11))
    return queued


def lateness(queued: dict[int, float]) -> tuple[float, float]:
    """Give the median and the 95th percentile of the milliseconds until runs started."""
    began = starts()
    late = sorted(1000 * (began[number][0] - at) for number, at in queued.items())
    return late[len(late) // 2], late[int(len(late) * 0.95)]


def latency(name: str, contestant: Contestant, runs: int, postgres: str) -> Figures:
    """Measure how long idle workers take to start a run, and what queueing one takes."""
    with fresh(contestant, postgres) as url, Workers(name, url, 2) as working:
        working.begin()
        asyncio.run(enqueue(contestant, url, [-1]))
        wait_for(contestant, working, 1, patience=60)
        queued = asyncio.run(one_by_one(contestant, url, range(runs), 0.05))
        wait_for(contestant, working, runs + 1, patience=60)
        p50, p95 = lateness(queued)
    return {"start p50 ms": p50, "start p95 ms": p95}


def compare_tenants(options: argparse.Namespace) -> dict[str, Figures]:
    """Measure how long a small tenant waits, alone and beside one with a flood of runs that last 0.2 s."""
    rows: dict[str, Figures] = {}
    for name, one in contestants().items():
        if type(one) is not Flowledger or options.only not in name:
            continue
        with fresh(one, options.postgres) as url, Workers(name, url, 1) as working:
            working.begin()
            small = [20 * number + 1 for number in range(300)]  # the lane is the rest of a division by 20
            alone = asyncio.run(one_by_one(one, url, small[:150], 0.1))
            wait_for(one, working, 150, patience=60)
            asyncio.run(enqueue(one, url, [20 * number for number in range(options.flood)], seconds=0.2))
            beside = asyncio.run(one_by_one(one, url, small[150:], 0.1))
            still = 150 + options.flood - one.finished(url)
            while any(number not in starts() for number in small):
                time.sleep(0.05)
            (p50, p95), (flooded, worst) = lateness(alone), lateness(beside)
        rows[name] = {"alone p50 ms": p50, "p95 ms": p95, "in a flood p50 ms": flooded, "flood p95 ms": worst}
        rows[name] |= {"to alone": worst / p95, "flood left": still}
    return rows


def recovery(name: str, contestant: Contestant, postgres: str, patience: float) -> Figures:
    """Kill one of two workers, and measure when the last run that it had starts again."""
    with fresh(contestant, postgres) as url, Workers(name, url, 2) as working:
        asyncio.run(enqueue(contestant, url, range(KILLED), seconds=2.0))
        working.begin()
        ends = time.time() + START_PATIENCE
        while len(starts()) < KILLED:
            working.check()
            if time.time() > ends:
                raise Unable(f"{name}: {len(starts())} of {KILLED} runs started in {START_PATIENCE} s")
            time.sleep(0.02)
        working.processes[0].kill()
        killed_at = time.time()
        working.processes[0].join()  # as whatever started it does; else it looks as if it were there
        while contestant.finished(url) < KILLED and time.time() < killed_at + patience:
            time.sleep(0.1)
        again = [times[-1] - killed_at for times in starts().values() if len(times) > 1]
        lost = KILLED - contestant.finished(url)
        return {"again after s": max(again, default=None), "lost": lost}


def compare(options: argparse.Namespace) -> dict[str, Figures]:
    """Measure all contestants in turn, round by round; figures are medians of the rounds."""
    chosen = {name: one for name, one in contestants().items() if options.only in name}
    found: dict[str, dict[str, list[float | None]]] = {name: defaultdict(list) for name in chosen}
    for number in range(options.rounds):
        for name, one in chosen.items():
            runs = round(options.runs * one.share)
            parts = {
                f"{runs:,} runs, one worker": partial(throughput, name, one, runs, 1, options.postgres),
                "two workers": partial(throughput, name, one, runs, 2, options.postgres),
                "latency": partial(latency, name, one, 100, options.postgres),
                "recovery": partial(recovery, name, one, options.postgres, options.patience),
            }
            if "alone" in name:
                del parts["latency"], parts["recovery"]
            if number > 0:
                parts.pop("recovery", None)
            for part, measure in parts.items():
                STDERR.print(f"[dim]round {number + 1}: {name}: {part}[/dim]")
                try:
                    figures = measure()
                except Unable as why:  # the others are measured all the same
                    STDERR.print(f"[yellow]{why}[/yellow]")
                    continue
                STDERR.print(f"[dim]{figures}[/dim]")  # whoever stops here has these
                for head, value in figures.items():
                    found[name][head].append(value)
    return {
        name: {
            head: None if None in values else statistics.median(value for value in values if value is not None)
            for head, values in figures.items()
        }
        for name, figures in found.items()
    }


def crowd(url: str, tenants: int, finished: int, queued: int) -> None:
    """Fill a database with runs of so many tenants: finished ones, and queued ones that can be claimed."""
    runs = """INSERT INTO runs (run_id, workflow, version, status, started_at, ended_at, tenant, fence,
        input_payload{more}) SELECT lpad(to_hex(n + {first}), 32, '0'), 'noop', '{version}', '{status}',
        now() - n * interval '1 millisecond', now(), 'tenant-' || n % {tenants}, 1, '{{"number": 1}}'{values}
        FROM generate_series(1, {count}) AS n"""
    given = set(runs.partition("(")[2].partition("{")[0].replace(",", " ").split())
    with psycopg.connect(url, autocommit=True) as connection:
        columns = """SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'runs'
            AND table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL"""
        rest = [(name, kind) for name, kind in connection.execute(columns) if name not in given]
        more = "".join(f", {name}" for name, _ in rest)
        values = "".join(", 0" if kind in ("bigint", "integer") else ", ''" for _, kind in rest)
        made = {"version": NOOP.version, "tenants": tenants, "more": more, "values": values}
        for status, first, count in (("succeeded", 0, finished), ("queued", finished, queued)):
            connection.execute(runs.format(status=status, first=first, count=count, **made))  # type: ignore[arg-type]
        connection.execute("""INSERT INTO queue_entries (run_id, queue, lane, priority, version, enqueued_at,
            available_at, attempts, deaths, workflow) SELECT run_id, 'default', tenant, 0, version, started_at,
            started_at, 0, 0, workflow FROM runs WHERE status = 'queued'""")
        connection.execute("""INSERT INTO lanes (queue, lane, began_at, last_claim_at)
            SELECT DISTINCT queue, lane, now(), to_timestamp(0) FROM queue_entries""")
        connection.execute("ANALYZE")


async def time_claims(urls: dict[str, str], claims: int) -> dict[str, Figures]:
    """Take turns at claiming ten runs in each database; milliseconds of a claim, its commit included."""
    took: dict[str, list[float]] = {name: [] for name in urls}
    async with AsyncExitStack() as stack:
        apps = {
            name: await stack.enter_async_context(App(workflows=[NOOP], database=url)) for name, url in urls.items()
        }
        for number in range(claims):
            for name, app in apps.items():
                began = time.perf_counter()
                assert len(await app.claim(10)) == 10
                if number > 10:  # by then the server knows the statements
                    took[name].append(1000 * (time.perf_counter() - began))
    base = statistics.median(took[next(iter(urls))])
    return {
        name: {
            "claim p50 ms": statistics.median(times),
            "claim p95 ms": sorted(times)[int(len(times) * 0.95)],
            "to first": statistics.median(times) / base,
        }
        for name, times in took.items()
    }


def compare_claims(options: argparse.Namespace) -> dict[str, Figures]:
    """Claim from a small ledger and from crowded ones."""
    rows = options.rows
    kinds = {
        "20 tenants": (20, 0, 20_000),
        "1,000 tenants": (1000, 0, 20_000),
        f"1,000 tenants, {rows:,} finished": (1000, rows, 20_000),
        f"1,000 tenants, {rows:,} queued": (1000, 0, rows),
    }
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        for name, (tenants, finished, queued) in kinds.items():
            STDERR.print(f"[dim]filling a ledger: {name}[/dim]")
            url = stack.enter_context(fresh(Flowledger("PostgreSQL"), options.postgres))
            crowd(url, tenants, finished, queued)
            urls[name] = url
        return asyncio.run(time_claims(urls, claims=options.claims))


def show(title: str, rows: dict[str, Figures]) -> None:
    """Print figures as a table."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table("", *columns, title=title, box=None)
    for name, row in rows.items():
        cells = ("" if head not in row else "never" if row[head] is None else f"{row[head]:,.2f}" for head in columns)
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3000, help="runs of a measurement of throughput")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", metavar="TEXT", help="contestants whose name has this text")
    parser.add_argument("--patience", type=float, default=25, help="seconds to wait for lost runs")
    parser.add_argument("--postgres", metavar="URL", default="postgresql://root@127.0.0.1:5432/test")
    parser.add_argument("--claims", type=int, default=0, metavar="N", help="only time N claims, in a crowd and not")
    parser.add_argument("--fairness", action="store_true", help="only measure a small tenant beside a flood")
    parser.add_argument("--flood", type=int, default=5000, help="runs of the flood")
    parser.add_argument("--rows", type=int, default=1_000_000, help="finished runs in the crowd")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where workers find what they import
    FORKING.set_forkserver_preload(["queue_contestants", *PEERS])
    title = f"{options.runs:,} runs, 50 at a time"
    if options.claims:
        rows, title = compare_claims(options), f"{options.claims:,} claims of ten runs"
    elif options.fairness:
        rows, title = compare_tenants(options), f"a small tenant, and one with {options.flood:,} runs"
    else:
        rows = compare(options)
    if options.json:
        print(json.dumps(rows))
    else:
        show(title, rows)


if __name__ == "__main__":
    main()
