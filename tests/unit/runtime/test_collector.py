"""A process that makes runs does not spend its time on looking at what is no garbage."""

import gc
from collections.abc import Iterator

import pytest

from engine.runtime.collector import settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    settle.cache_clear()
    yield
    gc.set_threshold(*before)


def test_what_was_imported_before_the_first_run_is_not_looked_at_again():
    gc.unfreeze()
    settle()
    assert gc.get_freeze_count() > 1_000


def test_the_collector_of_a_process_looks_less_often():
    gc.set_threshold(700, 10, 10)
    settle()
    assert gc.get_threshold()[0] == 10_000


def test_thresholds_that_somebody_has_chosen_stay():
    gc.set_threshold(900, 5, 5)
    settle()
    assert gc.get_threshold() == (900, 5, 5)
