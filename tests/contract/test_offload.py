"""Long texts of old runs move into object storage and are read as before, on every database."""

from pathlib import Path

import pytest

from engine.errors import ConfigurationError, StoreError
from engine.payloads import Packer, pack
from engine.store.collection import mark, sweep
from engine.store.objects import folder_of
from engine.store.offload import offload, plan
from tests.old_runs import OLD, RECENT, WHOLE, names, run, step

TEXTS = [f"{word} " * 900 for word in ("passages", "of", "old")]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Give a folder for objects, which is made when it is needed."""
    return tmp_path / "objects"


async def put(ledger, ended, *texts, number=1):
    """Commit a run that holds texts, and give the address of its input."""
    address, payloads = pack({"texts": list(texts)})
    await ledger.commit([*payloads, run(number, ended, input_payload=address)])
    return address


async def move(ledger, folder):
    planned = await plan(ledger, WHOLE, larger_than=1)
    await offload(ledger, str(folder), planned)
    return planned


async def test_what_only_old_runs_need_is_moved_and_reads_as_before(ledger, folder):
    address = await put(ledger, OLD, *TEXTS)
    planned = await move(ledger, folder)
    assert len(planned) == 3
    assert address not in planned  # it refers to the others
    assert {file.name for file in folder.iterdir()} == set(planned)
    assert await ledger.value(address) == {"texts": TEXTS}


async def test_what_a_newer_run_needs_too_stays(ledger, folder):
    await put(ledger, OLD, *TEXTS)
    await put(ledger, RECENT, TEXTS[0], number=2)
    planned = await move(ledger, folder)
    assert len(planned) == 2


async def test_nothing_is_moved_twice(ledger, folder):
    await put(ledger, OLD, *TEXTS)
    await move(ledger, folder)
    assert await plan(ledger, WHOLE, larger_than=1) == {}


async def test_a_new_run_with_a_text_that_was_moved_finds_it(ledger, folder):
    await put(ledger, OLD, *TEXTS)
    await move(ledger, folder)
    address, payloads = Packer().pack({"again": TEXTS[0]})
    await ledger.commit([*payloads, run(2, RECENT), step(1, of=2, input_payload=address)])
    assert await ledger.value(address) == {"again": TEXTS[0]}


async def test_what_nothing_refers_to_any_more_is_deleted_there_too(ledger, folder):
    _, payloads = pack(["a text of nobody " * 100, "short"])
    await ledger.commit(payloads)
    assert len(await move(ledger, folder)) == 1
    await sweep(ledger, await mark(ledger))
    assert await names(ledger) == set()
    assert list(folder.iterdir()) == []


async def test_a_file_that_is_gone_or_was_changed_is_said(ledger, folder):
    address = await put(ledger, OLD, *TEXTS)
    await move(ledger, folder)
    first, *_ = files = sorted(folder.iterdir())
    first.write_bytes(b"something else")
    with pytest.raises(StoreError, match=f"{first.name} in {folder} is not what was written there"):
        await ledger.value(address)
    for file in files:
        file.unlink()
    with pytest.raises(StoreError, match=f"is not in {folder}"):
        await ledger.value(address)


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/ledger", "https://host/folder?token=secret", "", "/"])
def test_an_address_with_a_secret_in_it_is_refused(address):
    with pytest.raises(ConfigurationError) as refused:
        folder_of(address)
    assert "secret" not in str(refused.value)


def test_a_folder_of_this_machine_is_named_from_its_root():
    assert Path(folder_of("payloads")).is_absolute()


async def test_a_storage_that_nobody_knows_is_said(ledger):
    await put(ledger, OLD, *TEXTS)
    with pytest.raises(ConfigurationError, match="nowhere://bucket cannot be reached"):
        await move(ledger, "nowhere://bucket")
