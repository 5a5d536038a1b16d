"""Writes a table of the ledger as a file: Parquet, CSV or JSON lines."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

from engine.errors import ConfigurationError
from engine.store.table_rows import TableColumn

Rows = Sequence[Sequence[Any]]
_GROUP_ROWS = 50_000  # of a row group of Parquet, which is held until it is full


class TableFile(ABC):
    """A file that takes rows of these columns."""

    @abstractmethod
    def __init__(self, file: IO[Any], columns: Sequence[TableColumn]) -> None: ...

    @abstractmethod
    def write(self, rows: Rows) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write what is left."""
        return


class CsvFile(TableFile):
    """Comma-separated values with a head; what is not known is empty."""

    def __init__(self, file: IO[Any], columns: Sequence[TableColumn]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._columns = columns
        self._writer.writerow(column.name for column in columns)

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        self._writer.writerows(_told(rows, self._columns))


class JsonLinesFile(TableFile):
    """One JSON object a line."""

    def __init__(self, file: IO[Any], columns: Sequence[TableColumn]) -> None:
        self._file = file
        self._columns = columns

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        names = [column.name for column in self._columns]
        for row in _told(rows, self._columns):
            self._file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n")


class ParquetFile(TableFile):
    """Parquet with typed columns, compressed."""

    def __init__(self, file: IO[Any], columns: Sequence[TableColumn]) -> None:
        try:
            import pyarrow as pa  # of the extra `parquet`
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise ConfigurationError("a Parquet file needs pyarrow: install flowledger[parquet]") from error
        kinds: dict[str, Any] = {
            "text": pa.string(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "truth": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
        }
        self._kinds = [kinds[column.kind] for column in columns]
        named: list[Any] = [pa.field(column.name, kind) for column, kind in zip(columns, self._kinds, strict=True)]
        self._schema: Any = pa.schema(named)
        writer: Any = pq.ParquetWriter
        self._make: Callable[..., Any] = pa.Table.from_arrays
        self._array: Callable[..., Any] = pa.array
        self._writer: Any = writer(file, self._schema, compression="zstd")
        self._waiting: list[Sequence[Any]] = []

    def write(self, rows: Rows) -> None:
        """Write some rows, once there are enough for a group."""
        self._waiting.extend(rows)
        if len(self._waiting) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the last group, and what stands at the end of the file."""
        if self._waiting:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._waiting, strict=True)
        arrays = [self._array(list(values), type=kind) for values, kind in zip(columns, self._kinds, strict=True)]
        self._writer.write_table(self._make(arrays, schema=self._schema))
        self._waiting = []


FORMATS: dict[str, type[TableFile]] = {"parquet": ParquetFile, "csv": CsvFile, "jsonl": JsonLinesFile}
"""By the end of a file's name."""


def _told(rows: Rows, columns: Sequence[TableColumn]) -> Iterable[Sequence[Any]]:
    """Give rows with their times as text."""
    told = [list(values) for values in zip(*rows, strict=True)]
    for place, column in enumerate(columns if rows else ()):
        if column.kind == "time":
            told[place] = [None if value is None else value.isoformat() for value in told[place]]
    return zip(*told, strict=True)
