"""Sends spans over OTLP/HTTP, patiently: a receiver that is busy says when to come again."""

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigurationError, ExportFailed
from engine.exports.otlp import NEEDS, as_protobuf
from engine.ports import Clock
from engine.runtime.classify import retry_after

_PATH = "/v1/traces"
_BUSY = frozenset({429, 502, 503, 504})
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between tries, where the receiver names none
_LONGEST_WAIT = 300.0
_SECONDS = 30.0  # for one request
_SAID = 200  # characters of a refusal that are shown


@dataclass(slots=True)
class Collector:
    """A receiver of spans.

    Attributes:
        url: where it takes traces; its query is never shown either.
        headers: what is sent with each request, as keys are; never shown.
    """

    url: str
    headers: Mapping[str, str]
    clock: Clock
    transport: Any = None
    _client: Any = None

    @classmethod
    def at(cls, endpoint: str, clock: Clock, transport: Any = None) -> Self:
        """Name a receiver; keys come from OTEL_EXPORTER_OTLP_HEADERS, so that no command line shows them.

        Raises:
            ConfigurationError: the address is none.
        """
        try:
            parts = urlsplit(endpoint)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets that do not close, or a port that is none
            raise ConfigurationError("--endpoint is no address: write http://HOST:4318") from None
        if parts.username or parts.password:
            raise ConfigurationError("--endpoint holds a password: say it in OTEL_EXPORTER_OTLP_HEADERS instead")
        if not is_address:
            shown = parts._replace(query="", fragment="").geturl()
            raise ConfigurationError(f"--endpoint {shown!r} is no address: write http://HOST:4318")
        path = parts.path.rstrip("/")
        whole = parts._replace(path=path if path.endswith(_PATH) else path + _PATH).geturl()
        return cls(whole, _headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")), clock, transport)

    @property
    def shown(self) -> str:
        """Its address as it may be shown: what stands behind ? or # may be a key."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()

    async def __aenter__(self) -> Self:
        try:
            import httpx  # of the extra `otel`
        except ModuleNotFoundError as error:
            raise ConfigurationError(NEEDS.replace("opentelemetry-proto", "httpx")) from error
        self._client = httpx.AsyncClient(timeout=_SECONDS, transport=self.transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, request: Mapping[str, Any]) -> None:
        """Send a request until it is taken.

        Raises:
            ExportFailed: it was refused, or the receiver stayed busy or away.
        """
        body = gzip.compress(as_protobuf(request), compresslevel=5, mtime=0)
        for wait in (*_WAITS, None):
            asked, why = await self._try(body)
            if why is None:
                return
            if wait is None:
                raise ExportFailed(f"{why}; gave up after {len(_WAITS) + 1} tries: run the same export again")
            await self.clock.sleep(min(wait if asked is None else asked, _LONGEST_WAIT))

    async def _try(self, body: bytes) -> tuple[float | None, str | None]:
        """Send once; say for how long to wait and why it was not taken, where another try may help."""
        import httpx

        kinds = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        try:
            answer = await self._client.post(self.url, content=body, headers={**self.headers, **kinds})
        except httpx.TransportError as error:
            why = str(error).replace(self.url, self.shown) or type(error).__name__
            return None, f"the receiver at {self.shown} cannot be reached: {why}"
        if answer.status_code in _BUSY:
            busy = httpx.HTTPStatusError("busy", request=answer.request, response=answer)
            return retry_after(busy), f"the receiver at {self.shown} is busy ({answer.status_code})"
        if not answer.is_success:
            said = answer.text.strip()[:_SAID]
            raise ExportFailed(
                f"the receiver at {self.shown} refused the spans with {answer.status_code}"
                f"{': ' + said if said else ''}: see to the address and to OTEL_EXPORTER_OTLP_HEADERS"
            )
        if why := _rejected(answer.content):
            raise ExportFailed(f"the receiver at {self.shown} {why}")
        return None, None


def _rejected(body: bytes) -> str | None:
    """Say which spans an answer says were not taken."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:  # some say "ok" in words of their own
        return None
    said = f": {partial.error_message}" if partial.error_message else ""
    return f"did not take {partial.rejected_spans:,} spans{said}" if partial.rejected_spans else None


def _headers(text: str) -> dict[str, str]:
    """Read `name=value,name=value`, percent-encoded, as OpenTelemetry has it.

    Raises:
        ConfigurationError: it is not that; the message shows no value.
    """
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.strip():
            raise ConfigurationError("OTEL_EXPORTER_OTLP_HEADERS is not like name=value,name=value")
        found[unquote(name.strip())] = unquote(value.strip())
    return found
