"""Who asks: a token is known by its id and proven by its hash; what it may do, and for whom, stands with it."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from engine.errors import InputError
from engine.ports import Clock
from engine.records import RunRecord
from engine.store import api_tokens
from engine.store.api_tokens import ApiToken
from engine.store.ledger import SqlLedger

SCOPES = {
    "runs:read": "see runs, their steps, cost, events and questions",
    "runs:write": "queue, cancel and requeue runs",
    "approve": "answer what runs ask people",
    "outcomes": "say what became of runs",
    "admin": "all of this, for the runs of every tenant",
}
_PREFIX = "flw"
_LOOK_SECONDS = 5.0  # so long a token that was removed is still taken
_LOOK_AGAIN_SECONDS = 0.5  # a token that nobody knows makes the ledger be asked as often as that, and no more
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the token that they have shown."""

    token: ApiToken

    @property
    def is_admin(self) -> bool:
        """Whether the runs of every tenant are theirs to see."""
        return "admin" in self.token.scopes

    def may(self, scopes: Collection[str]) -> bool:
        """Say whether they have all of these scopes."""
        return self.is_admin or self.token.scopes.issuperset(scopes)

    def sees(self, run: RunRecord) -> bool:
        """Say whether a run is theirs to know of."""
        return self.is_admin or run.tenant == self.token.tenant


def make_token(
    name: str,
    *,
    scopes: Collection[str],
    now: datetime,
    tenant: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, ApiToken]:
    """Make a token: what its owner keeps, and what is kept of it.

    Raises:
        InputError: a scope is not known, there is none, or an admin is bound to a tenant.
    """
    if unknown := sorted(set(scopes) - SCOPES.keys()):
        raise InputError(f"there is no scope {', '.join(unknown)}; the scopes are {', '.join(SCOPES)}")
    if not scopes:
        raise InputError(f"say what the token may do; the scopes are {', '.join(SCOPES)}")
    if "admin" in scopes and tenant is not None:
        raise InputError(f"a token with the scope admin is for every tenant: leave the tenant {tenant!r} or admin out")
    token_id = secrets.token_hex(6)
    text = f"{_PREFIX}_{token_id}_{secrets.token_urlsafe(32)}"
    kept = ApiToken(
        token_id=token_id,
        name=name,
        tenant=tenant,
        scopes=frozenset(scopes),
        sha256=_hash(text),
        created_at=now,
        expires_at=expires_at,
    )
    return text, kept


@dataclass(slots=True)
class Tokens:
    """The tokens of a ledger, looked at again every few seconds.

    Attributes:
        session: one more, which is in no ledger and ends with this process.
    """

    ledger: SqlLedger
    clock: Clock
    session: ApiToken | None = None
    _known: dict[str, ApiToken] = field(default_factory=dict[str, ApiToken])
    _looked_at: float = float("-inf")

    async def caller(self, text: str) -> Caller | None:
        """Say whose token this is; None if it is nobody's, or its time is over.

        Raises:
            StoreError: the ledger cannot be read.
        """
        token_id = text.split("_", 2)[1] if text.count("_") >= 2 else ""
        age = time.monotonic() - self._looked_at
        if age > _LOOK_SECONDS or (age > _LOOK_AGAIN_SECONDS and token_id not in self._known):
            await self.look()
        found = self._known.get(token_id)
        is_theirs = hmac.compare_digest(_hash(text), found.sha256 if found else _NOBODY)
        if found is None or not is_theirs or (found.expires_at is not None and found.expires_at <= self.clock.now()):
            return None
        return Caller(found)

    async def look(self) -> int:
        """Read the tokens off the ledger, and say how many there are."""
        kept = await self.ledger.read(api_tokens.all_of)
        self._looked_at = time.monotonic()
        self._known = {token.token_id: token for token in [*kept, *([self.session] if self.session else ())]}
        return len(kept)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
