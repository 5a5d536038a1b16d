"""How good token estimates were: what providers counted for the requests of the ledger, beside what was thought."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from sqlalchemy import Connection, select

from engine.models.calibration import Errors, Sample, calibrated, errors_of, learn
from engine.models.tokens import bound_messages, estimate_messages
from engine.price_records import CalibrationRecord
from engine.reports.dimensions import model_name
from engine.store.calibrations import Key, newest, write_calibrations
from engine.store.ledger import SqlLedger
from engine.store.reader import values_at
from engine.store.tables import calls, runs

_RUNS_AT_ONCE = 500
_AT_ONCE = 200  # requests whose texts are read together
MOST_CALLS = 20_000
"""How many calls are looked at, those of the newest runs: what is learned from is what models do now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRow:
    """How good the estimates for a model were.

    Attributes:
        with_tools: whether the requests had tools or an output schema.
        likely: the errors of the likely count, `bound` those of the bound, `calibrated` those of the count corrected
            by the newest calibration; None where nothing was learned yet.
        calibration: the version of that.
    """

    provider: str
    model: str
    with_tools: bool
    samples: int
    likely: Errors
    bound: Errors
    calibrated: Errors | None
    calibration: int | None

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; errors are parts of what was counted."""
        return asdict(self)


Samples = Mapping[Key, Sequence[Sample]]


async def samples_of(
    ledger: SqlLedger, *, since: datetime | None = None, model: str | None = None, most: int = MOST_CALLS
) -> Samples:
    """Count the requests of answered model calls again, and give that beside what their providers counted.

    Args:
        ledger: what is read.
        since: only calls of runs that began since.
        model: only calls of this model, as asked for or as answered.
        most: how many calls, those of the newest runs.
    """
    return await ledger.read(lambda connection: _count(connection, _answered(connection, since, model, most)))


def _answered(connection: Connection, since: datetime | None, model: str | None, most: int) -> Sequence[Any]:
    """Give so many answered calls, run by run from the newest on: no call of an older run is looked at."""
    query = select(
        calls.c.provider_name, model_name.label("model"), calls.c.usage_input_tokens, calls.c.request_payload
    ).where(
        calls.c.operation_name == "chat",
        calls.c.status == "ok",
        calls.c.usage_input_tokens > 0,
        calls.c.request_payload.is_not(None),
    )
    query = query if model is None else query.where((model_name == model) | (calls.c.request_model == model))
    latest = select(runs.c.run_id).order_by(runs.c.started_at.desc(), runs.c.run_id)
    latest = latest if since is None else latest.where(runs.c.started_at >= since)
    found: list[Any] = []
    with connection.execute(latest.execution_options(yield_per=_RUNS_AT_ONCE)) as run_ids:
        for some in run_ids.scalars().partitions():
            found += connection.execute(query.where(calls.c.run_id.in_(some)).limit(most - len(found))).all()
            if len(found) == most:
                break
    return found


async def estimates(ledger: SqlLedger, samples: Samples) -> list[EstimateRow]:
    """Say for each model how far its estimates were off, the model with most samples first."""
    learned = await newest(ledger)
    rows = [_row(key, found, learned.get(key)) for key, found in samples.items()]
    return sorted(rows, key=lambda row: (-row.samples, row.provider, row.model, row.with_tools))


async def learn_from(ledger: SqlLedger, samples: Samples, now: datetime) -> Sequence[CalibrationRecord]:
    """Write a calibration of every model that has enough samples, and give them; none if no model has."""
    made = [
        CalibrationRecord(
            provider=provider,
            model=model,
            with_tools=with_tools,
            version=0,
            created_at=now,
            samples=len(found),
            quantiles=quantiles,
        )
        for (provider, model, with_tools), found in samples.items()
        if (quantiles := learn(found)) is not None
    ]
    return await write_calibrations(ledger, made) if made else ()


def _row(key: Key, samples: Sequence[Sample], learned: CalibrationRecord | None) -> EstimateRow:
    provider, model, with_tools = key
    ratio = None if learned is None else float(learned.quantiles["p50"])
    return EstimateRow(
        provider=provider,
        model=model,
        with_tools=with_tools,
        samples=len(samples),
        likely=errors_of([sample.likely for sample in samples], samples),
        bound=errors_of([sample.bound for sample in samples], samples),
        calibrated=None if ratio is None else errors_of([calibrated(one, ratio) for one in samples], samples),
        calibration=None if learned is None else learned.version,
    )


def _count(connection: Connection, rows: Sequence[Any]) -> Samples:
    found: dict[Key, list[Sample]] = {}
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        requests = values_at(connection, [row.request_payload for row in some])
        for row, request in zip(some, requests, strict=True):
            messages = list(_messages(request))
            schemas = [*request.get("tools", ()), *([request["output"]] if "output" in request else ())]
            key = (row.provider_name or "", row.model, bool(schemas))
            sample = Sample(
                likely=estimate_messages(messages, schemas),
                bound=bound_messages(messages, schemas),
                counted=row.usage_input_tokens,
            )
            found.setdefault(key, []).append(sample)
    return found


def _messages(request: Mapping[str, Any]) -> Iterator[BaseMessage]:
    """Give the messages of a request as they were sent."""
    for said in request["messages"]:
        content = said["content"]
        match said["role"]:
            case "ai":
                yield AIMessage(content=content, tool_calls=said.get("tool_calls", []))
            case "tool":
                yield ToolMessage(content=content, tool_call_id=said["tool_call_id"], status=said["status"])
            case "system":
                yield SystemMessage(content=content)
            case _:
                yield HumanMessage(content=content)
