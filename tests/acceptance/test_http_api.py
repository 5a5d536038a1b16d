"""Runs over HTTP: queued once, looked at, ended and answered, by whom they belong to and nobody else."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from engine import App
from engine.errors import StoreError
from engine.nodes.call_tool import CallTool
from engine.server.limits import BodyLimit
from engine.store import api_tokens
from engine.worker import Worker
from guardrails import MaxLength
from tests.flows import line, noting
from tests.queues import FAILS, NOTES, app_on, work
from tests.served import as_tenant, bearer, queue, served, token


def send(question: str) -> str:
    """Send it."""
    return f"sent {question}"


SENDS = line(
    ("send", CallTool(tool=send, args={"question": "question"}, into="ticket", approval="May this be sent?")),
    name="sends",
)
GUARDED = line(("note", noting()), name="guarded", guard_input=[MaxLength(characters=10)])
PROBLEM = "application/problem+json"


@pytest.fixture
async def app():
    async with app_on("sqlite:///:memory:", NOTES, FAILS, SENDS, GUARDED) as opened:
        yield opened


async def test_a_run_is_queued_worked_on_and_looked_at(app: App):
    async with as_tenant(app) as client:
        answer = await client.post("/v1/runs", json={"workflow": "notes", "input": {"question": "why?"}, "user": "u1"})
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert answer.json()["output"] is None
        await work(app)
        run = (await client.get(answer.headers["Location"])).json()
        path = f"/v1/runs/{run['run_id']}"
        steps, cost = (await client.get(f"{path}/steps")).json(), (await client.get(f"{path}/cost")).json()
        some = (await client.get(f"{path}/steps", params={"limit": 1})).json()
        rest = (await client.get(f"{path}/steps", params={"limit": 1, "offset": some["next"]})).json()
    assert (run["status"], run["tenant"], run["user"]) == ("succeeded", "acme", "u1")
    assert run["output"]["notes"] == ["why?", "why?"]
    assert [step["node"] for step in steps["steps"]] == ["first", "second"]
    assert ([*some["steps"], *rest["steps"]], rest["next"]) == (steps["steps"], None)
    assert (cost["cost_usd"], cost["rows"]) == ("0", [])


async def test_who_waits_hears_of_the_end(app: App):
    async with as_tenant(app) as client:
        waiting = asyncio.create_task(queue(client, wait=30, status=200))
        with suppress(asyncio.CancelledError):
            working = asyncio.create_task(Worker(app).run())
            assert (await waiting)["status"] == "succeeded"
            working.cancel()
            await working


async def test_asked_again_with_the_same_key_the_same_run_is_given(app: App):
    key = {"Idempotency-Key": "order-17"}
    async with as_tenant(app) as client:
        at_once = await asyncio.gather(*(queue(client, headers=key) for _ in range(3)))
        later = await queue(client, headers=key, input={"question": "another?"})
        async with as_tenant(app, "other") as elsewhere:
            others = await queue(elsewhere, headers=key)
    assert len({run["run_id"] for run in [*at_once, later]}) == 1
    assert others["run_id"] != later["run_id"]
    assert len(await app.ledger.runs()) == 2


async def test_a_tenant_sees_its_own_runs_and_nobody_elses(app: App):
    async with as_tenant(app) as acme, as_tenant(app, "other") as other, as_tenant(app, None) as nobody:
        run = await queue(acme)
        path = f"/v1/runs/{run['run_id']}"
        for stranger in (other, nobody):
            for address in ("", "/steps", "/cost", "/events", "/questions"):
                answer = await stranger.get(path + address)
                assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM), address
            for address in ("/cancel", "/requeue", "/questions/0123456789abcdef/answer"):
                answer = await stranger.post(path + address, json={"digest": "0" * 12})
                assert answer.status_code == 404, address
            assert (await stranger.get("/v1/runs")).json() == {"runs": [], "next": None}
            assert (await stranger.get("/v1/runs", params={"tenant": "acme"})).status_code == 403
            await queue(stranger, tenant="acme", status=403)
        own = await queue(nobody)
        assert [found["run_id"] for found in (await nobody.get("/v1/runs")).json()["runs"]] == [own["run_id"]]
        async with as_tenant(app, None, scopes=["admin"]) as admin:
            every = (await admin.get("/v1/runs")).json()["runs"]
            assert {found["tenant"] for found in every} == {"acme", None}
            assert (await queue(admin, tenant="other"))["tenant"] == "other"
            assert len((await admin.get("/v1/runs", params={"tenant": "acme"})).json()["runs"]) == 1


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("runs:read", {"see", "list"}),
        ("runs:write", {"queue", "end"}),
        ("approve", {"answer"}),
        ("outcomes", {"judge"}),
    ],
)
async def test_a_token_does_what_its_scopes_say(app: App, scope: str, allowed: set[str]):
    async with as_tenant(app) as owner, as_tenant(app, scopes=[scope]) as client:
        path = f"/v1/runs/{(await queue(owner))['run_id']}"
        asked = {
            "see": client.get(path),
            "list": client.get("/v1/runs"),
            "queue": client.post("/v1/runs", json={"workflow": "notes", "input": {"question": "why?"}}),
            "end": client.post(f"{path}/cancel"),
            "answer": client.post(f"{path}/questions/0123456789abcdef/answer", json={"digest": "0" * 12}),
            "judge": client.post(f"{path}/outcomes", json={"success": True}),
        }
        answers = {name: (await doing).status_code for name, doing in asked.items()}
    assert {name for name, status in answers.items() if status != 403} == allowed


async def test_what_became_of_a_run_is_said_once_under_a_key_and_what_is_said_last_counts(app: App):
    async with as_tenant(app) as client, as_tenant(app, "other") as other:
        path = f"/v1/runs/{(await queue(client))['run_id']}/outcomes"
        won, lost = {"success": True, "value": 12.5, "name": "resolved", "note": "closed"}, {"success": False}
        keyed = {"Idempotency-Key": "crm-1"}
        first = await client.post(path, json=won, headers=keyed)
        again = await asyncio.gather(*(client.post(path, json=lost, headers=keyed) for _ in range(3)))
        assert [answer.status_code for answer in (first, *again)] == [201] * 4
        assert {answer.text for answer in again} == {first.text}
        assert (await client.post(path, json=lost | {"source": "shop"})).status_code == 201
        said = (await client.get(path)).json()
        assert [(one["success"], one["value"], one["name"], one["note"], one["source"]) for one in said] == [
            (True, 12.5, "resolved", "closed", "acme runs:read runs:write approve outcomes"),
            (False, None, "outcome", None, "shop"),
        ]
        for wrong in ({}, {"success": "yes"}, won | {"value": "much"}, won | {"name": ""}, won | {"worth": 1}):
            answer = await client.post(path, json=wrong)
            assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), wrong
        assert (await client.post(path, content='{"success": true, "value": NaN}')).status_code == 422
        assert (await other.post(path, json=won)).status_code == 404
        assert (await other.get(path)).status_code == 404


async def test_only_a_good_token_opens_anything(app: App):
    good = await token(app)
    gone = await token(app, name="gone")
    over = await token(app, name="over", expires_at=app.clock.now() - timedelta(seconds=1))
    await app.ledger.change(lambda connection: api_tokens.remove(connection, "gone"))
    async with served(app) as client:
        for text in (gone, over, good[:-1], good.upper(), "flw", "flw__", f"{good} {good}", "é"):
            headers = {"Authorization": f"Bearer {text}".encode()}
            answer = await client.get("/v1/runs", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), text
        assert (await client.get("/v1/runs", headers=bearer(good))).status_code == 200
        assert (await client.get("/v1/runs", params={"token": good})).status_code == 401
        assert (await client.get("/openapi.json")).status_code == 401
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_pages_hold_every_run_once_the_newest_first(app: App):
    async with as_tenant(app) as client:
        made = [(await queue(client, "fails" if number % 3 == 0 else "notes"))["run_id"] for number in range(7)]
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while not seen or cursor["cursor"]:
            page = (await client.get("/v1/runs", params={"limit": 3} | cursor)).json()
            seen += [run["run_id"] for run in page["runs"]]
            cursor = {"cursor": page["next"]}
        assert seen == list(reversed(made))
        await work(app)
        chosen = {"status": "failed", "workflow": "fails", "since": "2020-01-01T00:00:00Z"}
        failed = (await client.get("/v1/runs", params=chosen)).json()["runs"]
    assert [run["run_id"] for run in failed] == [made[6], made[3], made[0]]
    assert "ValueError" in failed[0]["error"]["message"]


async def test_a_run_is_ended_and_queued_again(app: App):
    async with as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client))['run_id']}"
        assert (await client.post(f"{path}/requeue")).status_code == 409
        assert (await client.post(f"{path}/cancel")).json()["status"] == "cancelled"
        again = await client.post(f"{path}/cancel")
        assert (again.status_code, again.headers["content-type"]) == (409, PROBLEM)
        assert again.json()["detail"].endswith("it is cancelled")
        requeued = await client.post(f"{path}/requeue")
        assert (requeued.status_code, requeued.json()["status"]) == (202, "queued")
        await work(app)
        assert (await client.get(path)).json()["status"] == "succeeded"
        assert (await client.post(f"{path}/requeue")).status_code == 409


async def test_a_person_answers_just_what_they_have_seen_and_the_run_goes_on(app: App):
    async with as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client, 'sends'))['run_id']}"
        await work(app)
        assert (await client.get(path, params={"wait": 9})).json()["status"] == "waiting"
        (asked,) = (await client.get(f"{path}/questions")).json()
        assert asked["shown"]["arguments"] == {"question": "why?"}
        answer = f"{path}/questions/{asked['question_id']}/answer"
        other = await client.post(answer, json={"digest": "0" * 64})
        assert (other.status_code, "something else" in other.json()["detail"]) == (409, True)
        assert (await client.post(answer, json={"digest": asked["digest"], "answer": 7})).status_code == 422
        said = await client.post(answer, json={"digest": asked["digest"], "by": "Ada"})
        assert said.status_code == 200
        assert (await client.post(answer, json={"digest": asked["digest"]})).status_code == 409
        await work(app)
        assert (await client.get(path)).json()["output"]["ticket"] == "sent why?"
    (kept,) = await app.ledger.questions(path.split("/")[3])
    assert kept.answered_by == "Ada"


async def test_who_refuses_says_why(app: App):
    async with as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client, 'sends'))['run_id']}"
        await work(app)
        (asked,) = (await client.get(f"{path}/questions")).json()
        answer = f"{path}/questions/{asked['question_id']}/answer"
        no = {"digest": asked["digest"], "refuse": True, "reason": "too dear"}
        assert (await client.post(answer, json=no)).status_code == 200
        await work(app)
        run = (await client.get(path)).json()
    assert (run["status"], "too dear" in run["error"]["message"]) == ("blocked", True)


async def test_an_input_that_a_guardrail_blocks_is_a_run_that_is_over(app: App):
    async with as_tenant(app) as client:
        run = await queue(client, "guarded", status=200, input={"question": "x" * 11})
    assert (run["status"], run["error"]["type"]) == ("blocked", "GuardrailBlocked")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"workflow": "nothing"}, "there is no workflow 'nothing'"),
        ({"workflow": "notes"}, "question"),
        ({"workflow": "notes", "input": {"question": 3}}, "question"),
        ({"workflow": "notes", "input": {"question": "?"}, "user": "a\0b"}, "body.user"),
        ({"workflow": "notes", "input": {"question": "?"}, "priority": "high"}, "body.priority"),
        ({"workflow": "notes", "input": {"question": "?"}, "at": "tomorrow"}, "a moment is written like"),
        ({"workflow": "notes", "input": {"question": "?"}, "lane": "other"}, "body.lane"),
    ],
)
async def test_what_does_not_fit_is_a_problem_that_says_where(app: App, body, said):
    async with as_tenant(app) as client:
        answer = await client.post("/v1/runs", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert said in answer.json()["detail"]
    assert not await app.ledger.runs()


async def test_whatever_goes_wrong_is_a_problem(app: App):
    async with as_tenant(app) as client:
        for method, path, body, status in [
            ("GET", "/", b"", 404),
            ("GET", "/v1/workflows/nothing", b"", 404),
            ("PUT", "/v1/runs", b"", 405),
            ("POST", "/v1/runs", b"{", 422),
            ("POST", "/v1/runs", b"[" * 100_000, 400),
            ("POST", "/v1/runs", b"x" * 2_000_000, 413),
            ("GET", "/v1/runs/nothing", b"", 422),
            ("GET", "/v1/runs?cursor=x", b"", 422),
            ("GET", "/v1/runs?staus=failed", b"", 422),
        ]:
            answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), path
            assert answer.json()["status"] == status
            assert "Traceback" not in answer.text


async def test_a_ledger_that_is_away_is_a_problem_without_its_address(app: App):
    async def away(run_ids):
        raise StoreError("the database at postgresql://root:secret@db cannot be reached")

    async with as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client))['run_id']}"
        app.ledger.known = away  # type: ignore[method-assign]
        answers = [await client.get(address) for address in ("/healthz", path, f"{path}?wait=5")]
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
        assert "secret" not in answer.text


async def test_workflows_say_what_input_they_take(app: App):
    async with as_tenant(app) as client:
        found = (await client.get("/v1/workflows")).json()
        one = (await client.get("/v1/workflows/notes")).json()
    assert [workflow["name"] for workflow in found] == ["fails", "guarded", "notes", "sends"]
    assert one in found
    assert one["input_schema"]["required"] == ["question"]


async def test_a_body_that_does_not_come_is_not_waited_for():
    sent = []

    async def nothing():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async def never(*_):
        raise AssertionError

    await BodyLimit(never, most_seconds=0.01)({"type": "http"}, nothing, send)
    assert sent[0]["status"] == 408
