"""Queued runs over worker processes that are killed, frozen and cut off, while the database and NATS are restarted.

One suite for SQLite, PostgreSQL, and NATS beside PostgreSQL, with servers of its own. Disturbances come one after
another, each when its share of the runs has ended: a worker is killed (SIGKILL) and replaced; a worker is frozen
(SIGSTOP) until others have brought its runs to their end, and thawed (SIGCONT); the database stops at once and starts
again (of SQLite the lock is taken away for as long); NATS is killed and starts again. With --hosts each worker but the
last is on a host of its own, a network namespace, and is cut off from both servers in place of being frozen; a file of
SQLite is on one host.

What must be zero: runs lost, runs that two workers finished, effects that took hold twice (counted outside the ledger),
effects that are missing, rows of the ledger that contradict each other, and runs whose rows changed after a worker that
was frozen or cut off came back.

    uv run python benchmarks/worker_chaos.py --runs 1000 --workers 3
    uv run python benchmarks/worker_chaos.py --runs 200 --hosts --on PostgreSQL --freezes 2 --kills 2
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos_errands import ERRAND, WORLD, Effects, enqueue, fork, lines, work
from chaos_ground import File, Host, Missing, NoHosts, ground
from chaos_report import Report, show
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from engine import App, Worker
from engine.chaos.books import contradictions
from engine.chaos.facts import gather
from engine.store import tables
from engine.store.database import Database

KINDS = ("SQLite", "PostgreSQL", "NATS + PostgreSQL")
OVER = ("succeeded", "failed", "dead", "cancelled", "blocked", "needs_review", "budget_exceeded")
DOWN_SECONDS = 2.0  # for which a database is away
PATIENCE_SECONDS = 90.0
STDERR = Console(stderr=True)


class Ledger:
    """Looks at the ledger from outside, over a connection for each question; the database may be away."""

    def __init__(self, url: str) -> None:
        self.url, self._database = url, Database.at(url)

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """Ask, again while the database is away."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._database.engine.connect() as connection:
                    return question(connection)
            except SQLAlchemyError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
            finally:
                self._database.close()  # whoever is forked meanwhile has no connection of ours

    def statuses(self) -> Counter[str]:
        """Count runs by how they stand."""
        query = select(tables.runs.c.status, func.count()).group_by(tables.runs.c.status)
        return Counter(dict(self.ask(lambda connection: connection.execute(query).all())))

    def had_by(self, process: int) -> tuple[str | None, set[str]]:
        """Give the id of a worker process, once the ledger knows it, and the runs that it has."""
        runs, workers = tables.runs.c, tables.workers.c
        newest = select(workers.worker_id).where(workers.process_id == process).order_by(workers.started_at.desc())
        worker = self.ask(lambda connection: connection.scalar(newest.limit(1)))
        mine = select(runs.run_id).where(runs.worker_id == worker, runs.status == "running")
        return worker, set(self.ask(lambda connection: connection.scalars(mine).all()))

    def waiting(self, worker: str | None, run_ids: set[str], *, until_over: bool) -> int:
        """Count the runs of a lost worker that nobody else has taken yet, or brought to their end."""
        runs = tables.runs.c
        is_left = runs.status.not_in(OVER) if until_over else (runs.status == "queued") | (runs.worker_id == worker)
        left = select(func.count()).where(runs.run_id.in_(run_ids), runs.status.not_in(OVER), is_left)
        return int(self.ask(lambda connection: connection.scalar(left)))

    def rows_of(self, run_ids: set[str]) -> dict[str, list[str]]:
        """Give every row that belongs to runs, by table."""
        kept = [table for table in tables.runs.metadata.sorted_tables if "run_id" in table.c]
        queries = {table.name: select(table).where(table.c.run_id.in_(run_ids)) for table in kept}
        return self.ask(
            lambda connection: {
                name: sorted(map(str, connection.execute(query).all())) for name, query in queries.items()
            }
        )


class Suite:
    """Disturbs workers while they work on runs, and judges what came of it."""

    def __init__(self, options: argparse.Namespace, kind: str, place: tuple[Any, Any, list[Host], Path]) -> None:
        self.options, self.kind = options, kind
        self.database, self.nats, self.hosts, folder = place
        self.report = Report(kind, options.runs)
        self.chance = random.Random(options.seed)
        os.environ[WORLD] = str(folder)
        (folder / "effects").mkdir()
        self.ledger = Ledger(self.database.url())
        self.workers: dict[int, Host | None] = {}

    def wage(self) -> Report:
        """Do all of it."""
        began = time.monotonic()
        os.waitpid(fork(lambda: Database.open(self.ledger.url, migrate=True).close()), 0)
        for number in range(self.options.workers):
            self.hire(self.hosts[number] if number < len(self.hosts) else None)
        rests = [[round(self.chance.uniform(0.1, self.options.rest), 3) for _ in range(3)] for _ in range(self.runs)]
        os.waitpid(fork(lambda: enqueue(self.ledger.url, self.nats and self.nats.url(), rests)), 0)
        plan = self.plan()
        for number, disturb in enumerate(plan):
            self.wait_for(self.runs * (number + 1) // (len(plan) + 2))
            disturb()
        self.wait_for(self.runs)
        self.dismiss()
        self.judge()
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return int(self.options.runs)

    def plan(self) -> list[Callable[[], None]]:
        """Say what happens, in an order left to chance."""
        restarts = [self.database] if self.nats is None else [self.database, self.nats]
        away = self.cut if self.hosts else self.freeze
        first = [self.kill] * min(self.options.kills, 1)  # while the queue is long
        plan = [self.kill] * (self.options.kills - len(first)) + [away] * self.options.freezes
        plan += [lambda one=one: self.restart(one) for one in restarts for _ in range(self.options.restarts)]
        self.chance.shuffle(plan)
        return first + plan

    def hire(self, host: Host | None) -> None:
        """Start a worker, on a host of its own or here, and wait until it is at work."""
        url = self.database.url(host.here) if host else self.ledger.url
        dispatcher = self.nats and (self.nats.url(host.here) if host else self.nats.url())

        def working() -> None:
            if host:
                host.enter()
            work(url, dispatcher)

        process = fork(working)
        self.workers[process] = host
        ends = time.monotonic() + PATIENCE_SECONDS
        while self.ledger.had_by(process)[0] is None and time.monotonic() < ends:
            time.sleep(0.05)

    def wait_for(self, ended: int) -> None:
        """Wait until so many runs have ended."""
        ends, seen = time.monotonic() + PATIENCE_SECONDS, -1
        while (now := sum(self.ledger.statuses()[status] for status in OVER)) < ended:
            if now > seen:
                ends, seen = time.monotonic() + PATIENCE_SECONDS, now
            if time.monotonic() > ends:
                return  # what is left is lost, and the verdict says so
            time.sleep(0.1)

    def busy(self, among: Sequence[int]) -> tuple[int, str | None, set[str]]:
        """Choose a worker that has runs."""
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            chosen = self.chance.choice(among)
            worker, has = self.ledger.had_by(chosen)
            if has:
                return chosen, worker, has
            time.sleep(0.05)
        return chosen, worker, has

    def kill(self) -> None:
        """Kill a worker, measure how long its runs wait, and hire another."""
        process, worker, _ = self.busy(list(self.workers))
        os.kill(process, signal.SIGKILL)
        killed_at = time.monotonic()
        os.waitpid(process, 0)
        _, had = self.ledger.had_by(process)
        while self.ledger.waiting(worker, had, until_over=False) and time.monotonic() < killed_at + PATIENCE_SECONDS:
            time.sleep(0.05)
        if had:
            self.report.recovered_s.append(round(time.monotonic() - killed_at, 2))
        self.report.kills += 1
        self.hire(self.workers.pop(process))

    def freeze(self) -> None:
        """Freeze a worker past its lease, and thaw it when its runs have ended elsewhere."""
        process = self.stopped()
        self.away(process, lambda: None, lambda: os.kill(process, signal.SIGCONT))
        self.report.freezes += 1

    def stopped(self) -> int:
        """Freeze a worker, on SQLite not in the middle of a commit: it would hold the file's lock as long."""
        while True:
            process, _, _ = self.busy(list(self.workers))
            os.kill(process, signal.SIGSTOP)
            if not (isinstance(self.database, File) and self.database.is_locked()):
                return process
            os.kill(process, signal.SIGCONT)
            time.sleep(0.01)

    def cut(self) -> None:
        """Cut a host off until its runs have ended elsewhere, and mend the cable."""
        process, _, _ = self.busy([process for process, host in self.workers.items() if host])
        host = self.workers[process]
        assert host is not None
        self.away(process, host.cut, host.mend)
        self.report.cuts += 1

    def away(self, process: int, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """Have a worker away until others have ended what it had, and see that it changes nothing when it is back."""
        begin()
        time.sleep(0.5)  # what was on its way arrives
        worker, had = self.ledger.had_by(process)
        ends = time.monotonic() + PATIENCE_SECONDS
        while self.ledger.waiting(worker, had, until_over=True) and time.monotonic() < ends:
            time.sleep(0.1)
        before, back_at = self.ledger.rows_of(had), time.time()
        end()
        ends = time.monotonic() + 40
        while len(gone := self.let_go(process, had, back_at)) < len(had) and time.monotonic() < ends:
            time.sleep(0.1)
        self.report.in_progress += len(had)
        self.report.let_go += len(gone)
        after = self.ledger.rows_of(had)
        for name in after:
            if after[name] != before[name]:
                self.report.found("written after a thaw", f"rows of {name} of {len(had)} runs have changed")

    def let_go(self, process: int, had: set[str], since: float) -> set[str]:
        """Give the runs that a worker has given up since it is back."""
        said = [(int(line[0]), line[1], line[2], float(line[3])) for line in lines("ends")]
        return {run for whose, run, how, at in said if whose == process and run in had and how == "lost" and at > since}

    def restart(self, server: Any) -> None:
        """Stop a server at once, and start it again."""
        server.stop()
        time.sleep(DOWN_SECONDS)
        server.start()
        self.report.restarts[server.name] = self.report.restarts.get(server.name, 0) + 1

    def dismiss(self) -> None:
        """Have the workers drain."""
        for process in self.workers:
            os.kill(process, signal.SIGTERM)
        for process in self.workers:
            _, status = os.waitpid(process, 0)
            if status:
                self.report.found("lost", f"a worker ended with the wait status {status}; see processes.log")

    def close(self) -> None:
        """End what is left, whatever happened."""
        for process in self.workers:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)

    def judge(self) -> None:
        """Read what the ledger, the workers and the world say of every run."""
        report, took = self.report, Effects.read()
        run_ids = self.ledger.ask(lambda connection: connection.scalars(select(tables.runs.c.run_id)).all())
        if len(run_ids) != self.runs:
            report.found("lost", f"{self.runs} runs were queued, and the ledger has {len(run_ids)}")
        facts = asyncio.run(gather(App(workflows=[ERRAND], database=self.ledger.url), run_ids, ()))
        for run in facts:
            status = run.record.status if run.record else "missing"
            if status != "succeeded":
                why = run.record.error_message if run.record else ""
                report.found("lost", f"run {run.run_id} is {status}: {why}")
            for sentence in contradictions(run):
                report.found("ledger mismatches", f"run {run.run_id}: {sentence}")
        ended = Counter(run for _, run, how, _ in lines("ends") if how == "succeeded")
        for run_id, times in ended.items():
            if times > 1:
                report.found("finished twice", f"run {run_id} was finished by {times} workers")
        for what in ("pay", "post"):
            for number in range(self.runs):
                times = took.times[what, number]
                if times != 1:
                    kind = "effects repeated" if times else "effects missing"
                    report.found(kind, f"{what} of run {number} took hold {times} times")
        report.known_requests = took.known


async def warm_up() -> None:
    """Run one errand here, so that what a run imports and compiles is there in every process that is forked."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[WORLD] = folder
        (Path(folder) / "effects").mkdir()
        async with App(workflows=[ERRAND], database="sqlite:///:memory:") as app:
            await app.enqueue("errand", {"number": 0, "rests": [0.0, 0.0, 0.0]})
            await Worker(app, until_empty=True).run()


def suite(options: argparse.Namespace, kind: str) -> Report | str:
    """Wage one suite; a sentence where this machine does not allow it."""
    hosts = options.workers - 1 if options.hosts and kind != "SQLite" else 0
    try:
        return wage(options, kind, hosts)
    except NoHosts as why:
        STDERR.print(f"{why}: workers are frozen in place of being cut off", style="yellow", markup=False)
        return wage(options, kind, 0)
    except Missing as why:
        return str(why)


def wage(options: argparse.Namespace, kind: str, hosts: int) -> Report:
    """Wage one suite with workers on so many hosts of their own."""
    with ground(kind, hosts) as place:
        waging = Suite(options, kind, place)
        try:
            return waging.wage()
        finally:
            waging.close()
            if waging.report.findings and options.keep:
                sys.stderr.write((place[3] / "processes.log").read_text())


def main() -> None:
    """Read the options, wage a suite on each kind of database, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=3, help="worker processes, at least two")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--freezes", type=int, default=2, help="workers that are frozen, or with --hosts cut off")
    parser.add_argument("--restarts", type=int, default=2, help="of the database, and of NATS")
    parser.add_argument("--rest", type=float, default=1.5, help="seconds that a step takes at the most")
    parser.add_argument("--lease", type=float, help="seconds of a lease, for tests; else as workers have it")
    parser.add_argument("--on", choices=KINDS, action="append", help="only this; may be given again")
    parser.add_argument("--hosts", action="store_true", help="workers on hosts of their own: network namespaces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="show what the processes said if something was found")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.workers < 2 or min(options.runs, options.rest) <= 0:
        parser.error("there are at least two workers, a run, and some time for a step")
    if options.lease:
        os.environ["FLOWLEDGER_LEASE_SECONDS"] = str(options.lease)
    chosen = [kind for kind in KINDS if kind in (options.on or KINDS)]
    reports: dict[str, Report | str] = {}
    asyncio.run(warm_up())
    for kind in chosen:
        STDERR.print(f"[dim]{kind}[/dim]")
        reports[kind] = suite(options, kind)
    skipped = {kind: why for kind, why in reports.items() if isinstance(why, str)}
    done = {kind: report for kind, report in reports.items() if isinstance(report, Report)}
    if options.json:
        print(json.dumps({"reports": {kind: asdict(report) for kind, report in done.items()}, "skipped": skipped}))
    else:
        show(reports)
    for kind, why in skipped.items():
        STDERR.print(f"{kind} was left out: {why}", style="yellow")
    for report in done.values():
        for finding in report.findings[:20]:
            STDERR.print(f"{report.on}: {finding}", style="red", markup=False, soft_wrap=True)
    sys.exit(0 if done and all(report.is_clean for report in done.values()) else 1)


if __name__ == "__main__":
    main()
