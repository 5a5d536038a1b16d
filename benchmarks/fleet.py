"""A fleet in one process: many workers and many queued runs, over the statements that real workers use, on PostgreSQL.

Each of the workers has its row, its lease and its slots. A few threads, each with a connection, take turns at being one
of them: finish what it had taken the time before, and claim for the free slots. A few more renew the leases, every two
seconds each. Halfway a worker dies, is found, and its runs are queued again. Nothing runs in the runs: this measures
the database. How claims fare is said by parts: the first and the last quarter of the time, while runs leave the queue
and finished ones grow in number.

    uv run python benchmarks/fleet.py --workers 1000 --queued 1000000 --seconds 60
"""

import argparse
import json
import random
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from queue_contestants import NOOP, Flowledger
from queues import STDERR, crowd, fresh, show
from sqlalchemy import update

from engine.ports import Taken
from engine.records import RunStatus
from engine.store import tables
from engine.store.batches import Batches, Submission
from engine.store.database import Database
from engine.store.lanes import Wanted
from engine.store.lease import Lease
from engine.store.run_queue import claim, reap
from engine.store.statements import EntryEnded, FinishedRun
from engine.store.transactions import Transactions

WANTED = Wanted(["default"], [NOOP.version])
BEAT_SECONDS = 2.0
BEATING = 4  # threads that renew leases
PARTS = 4  # of the time, by which claims are told apart


@dataclass(slots=True)
class Member:
    """A worker of the fleet."""

    lease: Lease = field(default_factory=lambda: Lease(is_sqlite=False))
    has: list[Taken] = field(default_factory=list[Taken])
    turn: Any = field(default_factory=threading.Lock)


class Fleet:
    """Workers, and how long each of their statements took, with its commit, in milliseconds."""

    def __init__(self, database: Database, workers: int, slots: int) -> None:
        self.database, self.slots = database, slots
        self.members = [Member() for _ in range(workers)]
        self.took: dict[str, list[float]] = defaultdict(list)
        self.finished = self.claimed = self.given_away = self.part = 0
        self.is_over = False

    def drive(self, seed: int) -> None:
        """Be one worker after another until it is over."""
        chance, transactions = random.Random(seed), Transactions(self.database)
        batches = Batches(self.database.engine.dialect)
        while not self.is_over:
            member = chance.choice(self.members)
            if member.turn.acquire(blocking=False):
                try:
                    self._be(member, transactions, batches)
                finally:
                    member.turn.release()
        transactions.disconnect()

    def beat(self, number: int) -> None:
        """Renew a share of the leases, as each worker does by itself."""
        transactions = Transactions(self.database)
        while not self.is_over:
            began = time.monotonic()
            for member in self.members[number::BEATING]:
                self._time("beat", partial(member.lease.beat, transactions))
            time.sleep(max(began + BEAT_SECONDS - time.monotonic(), 0))
        transactions.disconnect()

    def _be(self, member: Member, transactions: Transactions, batches: Batches) -> None:
        if member.has:
            ended = [self._end(taken) for taken in member.has]
            self._time("finish", lambda: transactions.run(lambda c: batches.write(c, ended), repeatable=True))
            refused = sum(one.error is not None for one in ended)  # its lease was late, and others have the run
            self.finished, self.given_away = self.finished + len(ended) - refused, self.given_away + refused
        now = datetime.now(UTC)
        member.has = self._time(
            f"claim, part {self.part + 1} of {PARTS}",
            lambda: transactions.run(lambda c: claim(c, member.lease, WANTED, self.slots, now), repeatable=False),
        )
        self.claimed += len(member.has)

    def _end(self, taken: Taken) -> Submission:
        run = taken.record
        run.status, run.ended_at = RunStatus.SUCCEEDED, datetime.now(UTC)
        return Submission([EntryEnded(run.run_id), FinishedRun(run)], (run.run_id, run.fence))

    def _time(self, what: str, work: Any) -> Any:
        began = time.perf_counter()
        result = work()
        self.took[what].append(1000 * (time.perf_counter() - began))
        return result

    def kill(self) -> int:
        """Have a worker that holds runs look dead, and queue its runs again."""
        transactions = Transactions(self.database)
        for member in self.members:
            with member.turn:
                if not member.has:
                    continue
                long_ago = datetime.now(UTC) - timedelta(minutes=5)
                mine = tables.workers.c.worker_id == member.lease.worker_id
                silent = update(tables.workers).where(mine).values(beat_at=long_ago)
                transactions.run(lambda c, silent=silent: c.execute(silent), repeatable=True)
                lost = self._time("reap", lambda: transactions.run(reap, repeatable=False))
                member.has, member.lease = [], Lease(is_sqlite=False)
                transactions.disconnect()
                return len(lost)
        return 0


def run(fleet: Fleet, threads: int, seconds: float) -> tuple[dict[str, float], int]:
    """Drive the fleet for a while, kill a worker halfway, and give what was done a second and runs queued again."""
    driving = [threading.Thread(target=fleet.drive, args=(number,)) for number in range(threads)]
    driving += [threading.Thread(target=fleet.beat, args=(number,)) for number in range(BEATING)]
    began = time.perf_counter()
    for thread in driving:
        thread.start()
    again = 0
    for fleet.part in range(PARTS):
        if fleet.part == PARTS // 2:
            again = fleet.kill()
        time.sleep(seconds / PARTS)
    fleet.is_over = True
    for thread in driving:
        thread.join()
    took = time.perf_counter() - began
    claims = sum(len(times) for what, times in fleet.took.items() if what.startswith("claim"))
    done = {"claims": claims, "claimed": fleet.claimed, "finished": fleet.finished, "given away": fleet.given_away}
    return {f"{what} a second": number / took for what, number in done.items()}, again


def check(url: str, queued: int, finished: int) -> None:
    """See that no run was lost and none finished twice."""
    with psycopg.connect(url) as connection:
        rows: Sequence[tuple[str, int]] = connection.execute("SELECT status, count(*) FROM runs GROUP BY 1").fetchall()
    counts = dict(rows)
    assert counts.get("succeeded", 0) == finished, f"{finished} runs were finished, and the ledger has {counts}"
    assert sum(counts.values()) == queued, f"{queued} runs were queued, and the ledger has {counts}"


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=50, help="runs that a worker takes at once")
    parser.add_argument("--queued", type=int, default=1_000_000, help="runs that wait at the beginning")
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=4, help="connections that are busy at once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--postgres", metavar="URL", default="postgresql://root@127.0.0.1:5432/test")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with fresh(Flowledger("PostgreSQL"), options.postgres) as url:
        STDERR.print(f"[dim]queueing {options.queued:,} runs[/dim]")
        crowd(url, options.tenants, 0, options.queued)
        database = Database.open(url)
        fleet = Fleet(database, options.workers, options.slots)
        rates, again = run(fleet, options.threads, options.seconds)
        database.close()
        check(url, options.queued, fleet.finished)
    rows: dict[str, dict[str, float | None]] = {
        what: {
            "number": len(times),
            "p50 ms": statistics.median(times),
            "p95 ms": sorted(times)[len(times) * 95 // 100],
        }
        for what, times in fleet.took.items()
    }
    if options.json:
        print(json.dumps({"rates": rates, "queued again": again, "statements": rows}))
    else:
        show(f"{options.workers:,} workers, {options.queued:,} runs of {options.tenants:,} tenants", rows)
        show(f"{again} runs of a dead worker queued again", {"all of them": {**rates}})


if __name__ == "__main__":
    main()
