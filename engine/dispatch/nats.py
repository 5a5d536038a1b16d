"""Hints over NATS JetStream: each goes to one worker that has room, and is acknowledged when that has looked."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, quote, urlsplit

from engine.dispatch.again import again
from engine.dispatch.outgoing import Outgoing
from engine.dispatch.pull import Pull
from engine.dispatch.stopping import stop
from engine.errors import ConfigurationError
from engine.ports import Ear, Hint

if TYPE_CHECKING:  # nats-py is an extra
    from nats.aio.client import Client

_LIFE_SECONDS = 60.0  # of a hint; workers look more often than that
_ANSWER_SECONDS = 2.0
_MOST_HINTS = 100_000  # kept by the server; the oldest give way
_CONNECTING: dict[str, Any] = {  # a connection that is lost is made anew as a whole: what was asked for is lost with it
    "allow_reconnect": False,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0.05,
    "connect_timeout": 2,
    "ping_interval": 5,
    "max_outstanding_pings": 2,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where NATS is, and under which name a ledger's hints go.

    Attributes:
        servers: with user and password, never shown.
        name: None for one made of the ledger.
    """

    servers: list[str]
    name: str | None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read nats://HOST:PORT/NAME, or several with commas between.

        Raises:
            ConfigurationError: it is no such address.
        """
        places = [_place(one.strip()) for one in text.split(",")]
        names = {place.path.strip("/") for place in places} - {""}
        if len(names) > 1:
            raise ConfigurationError(
                f"the addresses of NATS have several names: write one of {', '.join(sorted(names))}"
            )
        return cls([f"{place.scheme}://{place.netloc}" for place in places], names.pop() if names else None)


class Nats:
    """Tells one worker of each run, over a work-queue stream of NATS JetStream.

    Args:
        servers: their addresses.
        name: names the ledger, so that several may share a server.
        chance: gives numbers from 0 to 1.

    Raises:
        ConfigurationError: nats-py is not installed.
    """

    def __init__(self, servers: Sequence[str], name: str, chance: Callable[[], float]) -> None:
        try:
            import nats  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ModuleNotFoundError as error:
            raise ConfigurationError("hints over NATS need nats-py: install flowledger[nats]") from error
        self._servers, self._chance = list(servers), chance
        token = _token(name)
        self._stream, self._subject = f"FLOWLEDGER-{token}", f"flowledger.{token}"
        self._outgoing = Outgoing(self._publish)
        self._publisher: Client | None = None

    def send(self, hints: Sequence[Hint]) -> None:
        """Say that runs may be taken; returns at once."""
        self._outgoing.put(hints)

    async def listen(self, ear: Ear) -> NoReturn:
        """Have a worker look for each run that it is told of, until cancelled."""
        await again(lambda began: self._listen(ear, began), "NATS", ear)

    async def close(self) -> None:
        """Send what waits, and close the connection."""
        await self._outgoing.close()
        await self._hang_up()

    async def _publish(self, hints: Sequence[Hint]) -> None:
        """Publish hints; the server drops one that it had lately."""
        try:
            if self._publisher is None or not self._publisher.is_connected:
                self._publisher = await self._connected()
                await self._see_to_stream(self._publisher)
            for hint in hints:
                headers = {"Nats-Msg-Id": f"{hint.run_id}:{hint.fence}"}
                subject = f"{self._subject}.{_token(hint.queue)}"
                await self._publisher.publish(subject, json.dumps(asdict(hint)).encode(), headers=headers)
            await self._publisher.flush()
        except BaseException:
            await self._hang_up()
            raise

    async def _listen(self, ear: Ear, began: Callable[[], None]) -> None:
        client = await self._connected()
        serving: list[asyncio.Task[Any]] = []
        try:
            await self._see_to_stream(client)
            tokens = [_token(queue) for queue in set(ear.queues)]
            pulls = [await Pull.begin(client, self._stream, f"{self._subject}.{token}", token) for token in tokens]
            began()
            await ear.look()  # what was said before may be lost
            serving += [asyncio.create_task(pull.serve(ear, self._chance)) for pull in pulls]
            done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            await stop(serving)
            await _close(client)

    async def _connected(self) -> "Client":
        from nats.aio.client import Client

        async def ignore(_: Exception) -> None:
            """Say nothing: what goes wrong is raised as well."""

        client = Client()
        try:
            await client.connect(self._servers, name="flowledger", error_cb=ignore, **_CONNECTING)
        except BaseException:  # one that is cancelled on the way has a socket by then
            await _close(client)
            raise
        return client

    async def _see_to_stream(self, client: "Client") -> None:
        """Make the stream unless there is one, which may have been made by somebody who wants replicas."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        context = client.jetstream(timeout=_ANSWER_SECONDS)
        try:
            await context.stream_info(self._stream)
        except NotFoundError:
            config = StreamConfig(
                name=self._stream,
                subjects=[f"{self._subject}.>"],
                retention=RetentionPolicy.WORK_QUEUE,
                storage=StorageType.MEMORY,
                discard=DiscardPolicy.OLD,
                max_age=_LIFE_SECONDS,
                max_msgs=_MOST_HINTS,
                duplicate_window=_LIFE_SECONDS,
            )
            await context.add_stream(config)

    async def _hang_up(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await _close(publisher)


async def _close(client: "Client") -> None:
    """Close a connection, whoever cancels meanwhile: one that is left half closed would stay open."""
    closing = asyncio.create_task(_closed(client))
    while not closing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(closing)


async def _closed(client: "Client") -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            await client.close()


def _token(name: str) -> str:
    """Write a name so that it can stand in a subject, and no two names the same."""
    return quote(name, safe="").replace(".", "%2E") or "%"


def _place(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme in {"nats", "tls"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # a port that is none
        pass
    raise ConfigurationError("the address of NATS cannot be read: write nats://HOST:4222 or nats://HOST/NAME")
