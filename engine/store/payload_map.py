"""Which payloads there are, what refers to what, and what can be reached from the rows that stay.

A payload that is set aside keeps its content under another name, `ADDRESS~ROUND`, until it is known that nothing needs
it; `~ROUND` lists the runs that were in progress then.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from engine.payloads import addresses_in, references_in
from engine.store import tables
from engine.store.checkpoint_codec import payload_of
from engine.store.objects import OBJECT

ASIDE = "~"
"""Stands between the address of a payload that is set aside and its round."""

Progress = Callable[[str, int, int], None]
"""Is told what is done now, how far it has come, and of how much."""

_ADDRESS = 64  # digits
_AT_ONCE = 500  # rows fetched, and addresses asked for, in one go
_MARKS = (b"$payload", b"$grown")  # only a content that holds one of these refers to anything


@dataclass(slots=True)
class PayloadMap:
    """Every payload by its address; contents are read and let go.

    Attributes:
        sizes: bytes that each payload takes.
        references: what a payload refers to; those that refer to nothing are left out.
        aside: bytes of the payloads set aside, by round and address.
        moved: those whose contents are in object storage; they refer to nothing.
    """

    sizes: dict[str, int] = field(default_factory=dict[str, int])
    references: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    aside: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    moved: set[str] = field(default_factory=set[str])

    def add(self, row: Any) -> None:
        """Enter a row of the table."""
        address, mark, round_ = str(row.sha256).partition(ASIDE)
        if not mark:
            self.sizes[address] = len(row.content)
        else:
            payloads = self.aside.setdefault(round_, {})
            if not address:
                return
            payloads[address] = len(row.content)
        if row.encoding == OBJECT:
            self.moved.add(address)
            return
        content = zlib.decompress(row.content) if row.encoding == "zlib" else bytes(row.content)
        if any(one in content for one in _MARKS):
            found = references_in(content.decode(errors="surrogatepass"))
            if found:
                self.references[address] = tuple(found)

    def reached_from(self, connection: Connection, roots: Iterable[str]) -> set[str]:
        """Give every address that can be reached; payloads that came since the map was made are looked up."""
        known = self.sizes.keys() | {address for round_ in self.aside.values() for address in round_}
        reached: set[str] = set()
        fresh = set(roots)
        while fresh:
            reached |= fresh
            for row in _payloads_at(connection, sorted(fresh - known)):
                self.add(row)
            fresh = {other for address in fresh for other in self.references.get(address, ())} - reached
        return reached


def read_map(connection: Connection, on_progress: Progress | None = None) -> PayloadMap:
    """Read every payload once."""
    table = tables.payloads
    found, total = PayloadMap(), 0
    if on_progress is not None:
        total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    for number, row in enumerate(_stream(connection, select(table.c.sha256, table.c.encoding, table.c.content))):
        found.add(row)
        if on_progress is not None and number % _AT_ONCE == 0:
            on_progress("reading payloads", number, max(total, number))
    return found


def roots(
    connection: Connection,
    addresses_of: Callable[[bytes], Mapping[str, str]],
    streams: Select[Any],
    gone: Select[Any] | None = None,
) -> Iterator[str]:
    """Give the addresses that rows refer to.

    Args:
        connection: where they are read.
        addresses_of: reads where the channels of a checkpoint are.
        streams: the numbers of the streams of checkpoints that stay.
        gone: ids of the runs whose rows do not count.
    """
    for table in tables.metadata.sorted_tables:
        columns = [column for column in table.c if column.name.endswith("_payload")]
        if not columns:
            continue
        query = select(*columns).where(or_(*map(_may_refer, columns)))
        if gone is not None and "run_id" in table.c:
            query = query.where(table.c.run_id.not_in(gone))
        for row in _stream(connection, query):
            for name in row:
                yield from addresses_in(name)
    table = tables.checkpoints
    for row in _stream(
        connection, select(table.c.addresses).where(table.c.addresses.is_not(None), _in(table, streams))
    ):
        yield from addresses_of(row.addresses).values()
    table = tables.checkpoint_writes
    for row in _stream(connection, select(table.c.type, table.c.value).where(_in(table, streams))):
        address = payload_of(row.type, row.value)
        if address is not None:
            yield address


def _may_refer(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say where a column holds an address, or JSON with one in it: most hold short JSON, which need not be read."""
    return or_(func.length(column) == _ADDRESS, column.contains("$"))


def _in(table: Any, streams: Select[Any]) -> Any:
    return table.c.sid.in_(streams)


def _stream(connection: Connection, query: Any) -> Iterator[Any]:
    rows: Any = connection.execute(query.execution_options(yield_per=_AT_ONCE))
    return iter(rows)


def _payloads_at(connection: Connection, addresses: Sequence[str]) -> Iterator[Any]:
    table = tables.payloads
    for start in range(0, len(addresses), _AT_ONCE):
        some = addresses[start : start + _AT_ONCE]
        yield from connection.execute(
            select(table.c.sha256, table.c.encoding, table.c.content).where(table.c.sha256.in_(some))
        )
