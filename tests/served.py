"""The HTTP API of an app without a network, and tokens for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from engine import App
from engine.server.api import api_of
from engine.server.tokens import Tokens, make_token
from engine.store import api_tokens

EVERYTHING = ("runs:read", "runs:write", "approve", "outcomes")


async def token(app: App, *, tenant: str | None = "acme", scopes: Any = EVERYTHING, **fields: Any) -> str:
    """Make a token in the ledger, as `flowledger token add` does, and give it."""
    name = fields.pop("name", f"{tenant} {' '.join(scopes)}")
    text, kept = make_token(name, tenant=tenant, scopes=scopes, now=app.clock.now(), **fields)
    await app.ledger.change(lambda connection: api_tokens.add(connection, kept))
    return text


@asynccontextmanager
async def served(app: App) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve an app to a client that has no token yet."""
    api = api_of(app, Tokens(app.ledger, app.clock))
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://flow") as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@asynccontextmanager
async def as_tenant(app: App, tenant: str | None = "acme", **fields: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve an app to a client that has a token of a tenant."""
    async with served(app) as client:
        client.headers.update(bearer(await token(app, tenant=tenant, **fields)))
        yield client


async def queue(client: httpx.AsyncClient, workflow: str = "notes", status: int = 202, **fields: Any) -> dict[str, Any]:
    """Queue a run and give what is said of it."""
    headers, wait = fields.pop("headers", {}), fields.pop("wait", 0)
    asked = {"workflow": workflow, "input": {"question": "why?"}} | fields
    answer = await client.post("/v1/runs", params={"wait": wait}, json=asked, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def told(text: str) -> list[dict[str, str]]:
    """Read server-sent events: their fields by name."""
    blocks = [[line for line in block.split("\n") if line and line[0] != ":"] for block in text.split("\n\n")]
    parsed = [dict(line.split(": ", 1) for line in lines) for lines in blocks]
    return [event for event in parsed if "event" in event]
