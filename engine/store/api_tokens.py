"""Tokens of the HTTP API: who may do what, for whom; of a token itself only a hash is kept."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from engine.errors import InputError
from engine.store.tables import api_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token, but for its secret.

    Attributes:
        token_id: names it; it is part of the token.
        name: what people call it.
        tenant: whose runs it is for; None is those of no tenant.
        scopes: what may be done with it.
        sha256: the hash of the whole token.
        expires_at: until when it is good; None is for ever.
    """

    token_id: str
    name: str
    tenant: str | None
    scopes: frozenset[str]
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None


def add(connection: Connection, token: ApiToken) -> None:
    """Keep a token.

    Raises:
        InputError: another has its name.
    """
    if connection.scalar(select(api_tokens.c.token_id).where(api_tokens.c.name == token.name)):
        raise InputError(f"there is a token {token.name!r} already: choose another name, or remove that one first")
    connection.execute(insert(api_tokens).values(**asdict(token) | {"scopes": " ".join(sorted(token.scopes))}))


def all_of(connection: Connection) -> list[ApiToken]:
    """Give every token, by name."""
    rows = connection.execute(select(api_tokens).order_by(api_tokens.c.name)).mappings()
    return [_token(row) for row in rows]


def remove(connection: Connection, name: str) -> None:
    """Forget a token.

    Raises:
        InputError: there is none of this name.
    """
    if not connection.execute(delete(api_tokens).where(api_tokens.c.name == name)).rowcount:
        raise InputError(f"there is no token {name!r}; `flowledger token list` names those that there are")


def _token(row: Any) -> ApiToken:
    plain: dict[str, Any] = dict(row) | {"scopes": frozenset(row["scopes"].split())}
    return ApiToken(**plain)
