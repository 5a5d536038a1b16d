"""How long a request may be and how long it may take to arrive; read whole before anything is done about it."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.server.problems import problem

MOST_BYTES = 2**20
MOST_SECONDS = 20.0


class BodyLimit:
    """Reads the body of each request, up to a number of bytes and seconds.

    Args:
        most_bytes: what is longer is answered with 413.
        most_seconds: what takes longer is answered with 408.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> None:
        self._app, self._most_bytes, self._most_seconds = app, most_bytes, most_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, and hand the request on with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self._most_seconds):
                async for piece in _pieces(receive):
                    body += piece
                    if len(body) > self._most_bytes:
                        said = f"the body has more than {self._most_bytes:,} bytes: send less, or the place where it is"
                        await problem(413, said, headers={"Connection": "close"})(scope, receive, send)
                        return
        except TimeoutError:
            said = f"the body did not arrive within {self._most_seconds:g} seconds: send it again"
            await problem(408, said, headers={"Connection": "close"})(scope, receive, send)
            return
        except ConnectionResetError:
            return
        waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]
        del body

        async def read() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, read, send)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """Give the pieces of a body.

    Raises:
        ConnectionResetError: the caller has left.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
