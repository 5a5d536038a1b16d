"""A process that was unheard of for as long as a lease gives others time to beat before it takes them for dead."""

from types import SimpleNamespace

from engine.store.database import Database
from engine.store.lease import Lease
from engine.store.lease_time import LEASE_SECONDS
from engine.store.transactions import Transactions


def test_who_was_cut_off_waits_for_a_lease_before_it_judges_others(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("engine.store.lease.time", SimpleNamespace(monotonic=lambda: now[0]))
    database = Database.open("sqlite:///:memory:")
    lease, transactions = Lease(is_sqlite=True), Transactions(database)
    lease.is_on_duty = True

    def at(seconds: float, *, beats: bool) -> bool:
        now[0] = 1000.0 + seconds
        if beats:
            lease.beat(transactions)
        return lease.may_judge

    assert at(0, beats=False), "one that has just begun finds what others left"
    assert at(0, beats=True)
    assert at(2, beats=True)
    assert at(2 + LEASE_SECONDS - 1, beats=False)
    assert not at(2 + LEASE_SECONDS + 1, beats=False), "the database has not heard of it for long"
    back = 2 + LEASE_SECONDS + 5
    assert not at(back, beats=True), "others may have been cut off with it"
    assert not at(back + LEASE_SECONDS - 1, beats=True)
    assert at(back + LEASE_SECONDS, beats=True)
    transactions.disconnect()
    database.close()


def test_who_has_no_run_beats_and_asks_no_more_often_than_that(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("engine.store.lease.time", SimpleNamespace(monotonic=lambda: now[0]))
    database = Database.open("sqlite:///:memory:")
    lease, transactions = Lease(is_sqlite=True), Transactions(database)
    assert lease.due_in() is None
    lease.is_on_duty = True
    lease.beat(transactions)
    idle = lease.due_in()
    lease.begin("a run", lambda: None)
    assert (idle, lease.due_in()) == (2.0, 0.25)
    transactions.disconnect()
    database.close()
