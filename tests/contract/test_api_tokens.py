"""Tokens of the HTTP API, and pages of runs, on every database."""

from datetime import timedelta

import pytest

from engine.errors import InputError
from engine.server.tokens import Tokens, make_token
from engine.store import api_tokens
from engine.store.ledger import SqlLedger
from engine.testing import StillClock
from tests.open_runs import NOW, run


async def test_a_token_is_known_by_its_hash_until_its_time_is_over_or_it_is_removed(ledger: SqlLedger):
    clock = StillClock(NOW)
    until = NOW + timedelta(days=1)
    text, kept = make_token("web", scopes=["runs:read", "approve"], tenant="acme", now=NOW, expires_at=until)
    await ledger.change(lambda connection: api_tokens.add(connection, kept))
    with pytest.raises(InputError, match="there is a token 'web' already"):
        await ledger.change(lambda connection: api_tokens.add(connection, kept))
    assert await ledger.read(api_tokens.all_of) == [kept]
    caller = await Tokens(ledger, clock).caller(text)
    assert caller is not None
    assert (caller.token, caller.may(["approve"]), caller.may(["runs:write"])) == (kept, True, False)
    assert await Tokens(ledger, clock).caller(text[:-1]) is None
    clock.advance(86_400)
    assert await Tokens(ledger, clock).caller(text) is None
    await ledger.change(lambda connection: api_tokens.remove(connection, "web"))
    with pytest.raises(InputError, match="there is no token 'web'"):
        await ledger.change(lambda connection: api_tokens.remove(connection, "web"))


async def test_pages_of_runs_that_began_at_once_leave_none_out_and_give_none_twice(ledger: SqlLedger):
    tenants = ["acme", None, "acme", None, "acme"]
    await ledger.commit([run(number, tenant=tenant) for number, tenant in enumerate(tenants)])
    seen: list[str] = []
    place = None
    while page := await ledger.runs(tenant="acme", limit=2, before=place):
        seen += [one.run_id for one in page]
        place = page[-1].started_at, page[-1].run_id
    assert seen == [run(number).run_id for number in (4, 2, 0)]
    assert [one.run_id for one in await ledger.runs(untenanted=True)] == [run(number).run_id for number in (3, 1)]
