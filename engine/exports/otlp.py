"""OpenTelemetry's protocol: spans as its JSON, and as the protobuf that every receiver takes."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from engine.errors import ConfigurationError
from engine.exports import names
from engine.exports.spans import Span

_ERROR = 2
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
NEEDS = "sending spans needs opentelemetry-proto: install flowledger[otel]"


@dataclass(frozen=True, slots=True)
class Resource:
    """Whose spans they are."""

    service: str
    version: str


def request_of(spans: Iterable[Span], resource: Resource) -> dict[str, Any]:
    """Give spans as the JSON of an ExportTraceServiceRequest: ids in hex, long numbers as text."""
    of = _attributes({names.SERVICE_NAME: resource.service, names.SERVICE_VERSION: resource.version})
    scope = {"name": "flowledger", "version": resource.version, "attributes": _attributes({"semconv": names.SEMCONV})}
    inside = {"scope": scope, "spans": [_span(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": of}, "scopeSpans": [inside]}]}


def as_protobuf(request: Mapping[str, Any]) -> bytes:
    """Give the JSON of a request as protobuf; what the protocol does not know is an error, and never left out.

    Raises:
        ConfigurationError: the extra `otel` is not installed.
    """
    try:
        from google.protobuf.json_format import ParseDict  # of the extra `otel`
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ModuleNotFoundError as error:
        raise ConfigurationError(NEEDS) from error
    return ParseDict(_with_base64(request), ExportTraceServiceRequest()).SerializeToString()


def _span(span: Span) -> dict[str, Any]:
    links = [
        {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes({names.own("link"): link.reason})}
        for link in span.links
    ]
    events = [
        {"timeUnixNano": str(event.at_ns), "name": event.name, "attributes": _attributes(event.attributes)}
        for event in span.events
    ]
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({} if span.parent_id is None else {"parentSpanId": span.parent_id}),
        "name": _readable(span.name),
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.begin_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "events": events,
        "links": links,
        "status": {} if span.error is None else {"code": _ERROR, "message": _readable(span.error)},
    }


def _attributes(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in plain.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(inner) for inner in cast("Sequence[Any]", value)]}}
        case _:
            return {"stringValue": _readable(str(value))}


def _readable(text: str) -> str:
    """Replace halves of letters, which neither UTF-8 nor the protocol can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _with_base64(value: Any) -> Any:
    """Give ids as protobuf's own JSON has bytes, which is not how this protocol's JSON has them."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {
            name: base64.b64encode(bytes.fromhex(inner)).decode() if name in _IDS else _with_base64(inner)
            for name, inner in fields.items()
        }
    return [_with_base64(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value
