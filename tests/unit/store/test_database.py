"""A database that cannot be used is one sentence that says how to mend it, and shows no password."""

import sqlite3

import pytest

from engine.errors import ConfigurationError, EngineError, StoreError
from engine.store.database import Database


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("mysql://u:hidden@host/db", ConfigurationError, "begins with 'mysql', which is not supported"),
        ("nonsense://", ConfigurationError, "write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("sqlite:///runs.db?synchronous=never", ConfigurationError, "a SQLite address takes one option"),
        ("sqlite:////no/such/folder/runs.db", StoreError, "create its folder, and see that it may be written"),
        ("postgresql://u:hidden@127.0.0.1:1/db", StoreError, "start the server, or mend host and port"),
    ],
)
def test_an_address_that_cannot_work_is_named(url, kind, said):
    with pytest.raises(EngineError, match=said) as caught:
        Database.open(url)
    assert type(caught.value) is kind
    assert "hidden" not in str(caught.value)


def test_a_folder_and_another_kind_of_file_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder: name a file in it"):
        Database.open(f"sqlite:///{tmp_path}")
    (tmp_path / "text.db").write_text("this is no database, and it is long enough to be read as one" * 20)
    with pytest.raises(StoreError, match="it is another kind of file; name a new one"):
        Database.open(f"sqlite:///{tmp_path}/text.db")


def test_a_bare_path_is_a_sqlite_file(tmp_path):
    Database.open(str(tmp_path / "runs.db")).close()
    assert (tmp_path / "runs.db").exists()


@pytest.mark.parametrize(("option", "level"), [("", 1), ("?synchronous=full", 2)])
def test_durability_is_an_option(tmp_path, option, level):
    database = Database.open(f"sqlite:///{tmp_path}/runs.db{option}")
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_a_database_that_another_holds_for_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.store.database._BUSY_SECONDS", 0)
    Database.open(f"sqlite:///{tmp_path}/runs.db").close()
    with sqlite3.connect(tmp_path / "runs.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        database = Database.open(f"sqlite:///{tmp_path}/runs.db", migrate=False)
        with pytest.raises(Exception, match="locked") as caught:
            with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
                pass
        assert "another process holds it" in str(database.error(caught.value))
        database.close()
        other.execute("ROLLBACK")
    other.close()
