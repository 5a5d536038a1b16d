"""A small batch for PostgreSQL as one statement, which commits by itself: one round trip instead of seven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.store.statements import Kind, Prepared, numbered

Groups = Mapping[Kind, list[Sequence[Any]]]
Stream = tuple[str, str]

_NEW = object()  # stands where the number of a stream comes that the same statement begins
_BEGUN = "(SELECT sid FROM begun)"
_OURS = (  # it is there if the answer to the same statement was lost
    "ON CONFLICT (run_id) DO UPDATE SET run_id = excluded.run_id WHERE runs.worker_id = excluded.worker_id "
    "AND runs.fence = excluded.fence AND runs.started_at = excluded.started_at RETURNING 1"
)
_BEGIN = (
    "begun AS (INSERT INTO checkpoint_streams (thread_id, checkpoint_ns) VALUES (%s, %s) "
    "ON CONFLICT (thread_id, checkpoint_ns) DO UPDATE SET thread_id = excluded.thread_id RETURNING sid)"
)


@dataclass(frozen=True, slots=True)
class OneStatement:
    """All of a batch; it is refused, and writes nothing, where a fence is stale or a run has begun elsewhere.

    Attributes:
        begins: the stream that gets a number; the one row that comes back says which.
    """

    sql: str
    values: Sequence[Any]
    begins: Stream | None


@dataclass(slots=True)
class Composer:
    """Puts batches together from prepared statements; its texts are few, so that the server knows them."""

    prepared: Mapping[Kind, Prepared]
    _texts: dict[Any, str] = field(default_factory=dict[Any, str])

    def compose(self, groups: Groups, fences: Mapping[str, int], begins: Stream | None) -> OneStatement:
        """Put a batch together.

        Args:
            groups: rows by kind; those of a stream that begins have `new_stream()` for its number.
            fences: what the rows of these runs must say, of runs that have begun before.
            begins: the stream.
        """
        shape = (len(fences), begins is not None, tuple((kind, _shape(rows)) for kind, rows in groups.items()))
        if shape not in self._texts:
            self._texts[shape] = numbered(self._text(groups, len(fences), begins=begins is not None))
        values = [value for run_id in sorted(fences) for value in (run_id, fences[run_id])]
        values += begins or ()
        values += [value for rows in groups.values() for row in rows for value in row if value is not _NEW]
        return OneStatement(self._texts[shape], values, begins)

    def _text(self, groups: Groups, fences: int, *, begins: bool) -> str:
        parts: list[str] = []
        holds: list[str] = []
        if fences:
            listed = ", ".join(["(%s::VARCHAR, %s::BIGINT)"] * fences)
            parts.append(
                f"held AS (SELECT 1 FROM runs WHERE (run_id, fence) IN ({listed}) ORDER BY run_id FOR SHARE)"  # noqa: S608
            )
            holds.append(_all_of("held", fences))
        parts += [_BEGIN] if begins else []
        for kind, rows in groups.items():
            texts = self._texts_of(kind, rows)
            parts += [f"{kind.name.lower()}_{number} AS ({text})" for number, text in enumerate(texts)]
        if Kind.RUN in groups:
            holds.append(_all_of("run_0", len(groups[Kind.RUN])))
        begun = _BEGUN if begins else "NULL"
        return f"WITH {', '.join(parts)} SELECT 1 / ({' AND '.join(holds) or 'true'})::int, {begun}"

    def _texts_of(self, kind: Kind, rows: Sequence[Sequence[Any]]) -> list[str]:
        statement = self.prepared[kind]
        head, values, tail = statement.parts
        if not values:
            return [statement.text] * len(rows)
        listed = (
            ", ".join(_BEGUN if value is _NEW else place for value, place in zip(row, values, strict=True))
            for row in rows
        )
        return [f"{head}({'), ('.join(listed)}) {_OURS if kind is Kind.RUN else tail}"]


def new_stream() -> Any:
    """Give what stands for the number of the stream that a statement begins."""
    return _NEW


def _all_of(part: str, number: int) -> str:
    return f"(SELECT count(*) FROM {part}) = {number}"  # noqa: S608 - no user text


def _shape(rows: Sequence[Sequence[Any]]) -> tuple[bool, ...]:
    return tuple(any(value is _NEW for value in row) for row in rows)
