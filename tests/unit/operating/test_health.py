"""A worker answers a monitor on the loopback, drains when it has grown too large, and checks its own workflows only."""

import asyncio

import pytest

from engine import App
from engine.errors import ConfigurationError
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.operating.endpoint import HOST, answering
from engine.operating.memory import drain_when_large, resident_bytes
from engine.operating.metrics import Metrics
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from engine.worker import Worker
from tests.flows import Ask, line
from tests.queues import FAILS, NOTES, enqueue, statuses

ASKS = line(
    ("draft", Generate(model="nobody", prompt="{question}", into="answer", max_tokens=5)), name="asks", state=Ask
)


@pytest.fixture
async def app(tmp_path):
    async with App(workflows=[NOTES, FAILS], database=f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


async def ask(port: int, request: str) -> tuple[str, str]:
    """Send a request and give the line of the status, and the body."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request.encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return head.partition("\r\n")[0], body


async def get(port: int, path: str) -> tuple[str, str]:
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def test_figures_tell_what_was_taken_how_it_ended_and_what_waits(app):
    await enqueue(app, 2, tenant="acme")
    await enqueue(app, 1, workflow="fails", lane='a "quoted" lane', queue="slow")
    await enqueue(app, 1, tenant="held")
    await app.limit("default", "held", 0)
    over = asyncio.Event()
    worker = Worker(app, queues=["default", "slow"])
    worker.on_end = lambda *_: over.set() if worker.ended.total() == 3 else None
    async with answering(Metrics(worker), 0) as port:
        running = asyncio.create_task(worker.run())
        await over.wait()
        status, text = await get(port, "/metrics")
        assert status == "HTTP/1.1 200 OK"
        me = f'worker="{app.ledger.worker_id}"'
        for sample in (
            f"flowledger_claimed_total{{{me}}} 3",
            f'flowledger_ended_total{{{me},status="succeeded"}} 2',
            f'flowledger_ended_total{{{me},status="failed"}} 1',
            f"flowledger_in_progress{{{me}}} 0",
            f"flowledger_fenced_writes_total{{{me}}} 0",
            'flowledger_lane_due{queue="default",lane="held"} 1',
        ):
            assert f"\n{sample}\n" in text
        assert all(name in text for name in ("loop_lag_seconds{", "lease_age_seconds{", "lane_oldest_seconds{"))
        worker.drain()
        await running


async def test_figures_of_calls_are_added_up_once_from_the_ledger(tmp_path):
    models = {"nobody": Model(ScriptedModel(script=["fine"]), price=Price(input="1", output="1"))}
    async with App(workflows=[ASKS], database=f"sqlite:///{tmp_path}/runs.db", models=models) as app:
        for _ in range(2):
            await app.enqueue("asks", {"question": "q"})
        worker = Worker(app, until_empty=True)
        metrics = Metrics(worker)
        await worker.run()
        await metrics.text()
        said = [line for line in (await metrics.text()).splitlines() if "scripted" in line]
        me = f'worker="{app.ledger.worker_id}",'
    of = f'{{{me}operation="chat",provider="engine",name="scripted",status="ok"'
    assert f'flowledger_call_duration_seconds_bucket{of},le="+Inf"}} 2' in said
    assert f"flowledger_call_duration_seconds_count{of}}} 2" in said
    model = f'{{{me}provider="engine",model="scripted"'
    assert f'flowledger_tokens_total{model},kind="input"}} 20' in said
    assert f"flowledger_cost_usd_total{model}}} 3e-05" in said
    assert f"flowledger_calls_of_unknown_cost_total{model}}} 0" in said


async def test_a_worker_is_ready_while_it_takes_runs_and_alive_while_it_answers(app):
    over = asyncio.Event()
    worker = Worker(app, on_end=lambda *_: over.set())
    async with answering(Metrics(worker), 0) as port:
        assert (await get(port, "/readyz"))[0] == "HTTP/1.1 503 Service Unavailable"
        running = asyncio.create_task(worker.run())
        await enqueue(app)
        await over.wait()
        assert await get(port, "/readyz") == ("HTTP/1.1 200 OK", "ready\n")
        worker.drain()
        assert await get(port, "/readyz?verbose") == ("HTTP/1.1 503 Service Unavailable", "draining\n")
        assert await get(port, "/livez") == ("HTTP/1.1 200 OK", "alive\n")
        await running


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("GET /else HTTP/1.1\r\n\r\n", ("HTTP/1.1 404 Not Found", "there are /livez, /readyz and /metrics\n")),
        ("POST /livez HTTP/1.1\r\n\r\n", ("HTTP/1.1 405 Method Not Allowed", "only GET is answered\n")),
        ("HEAD /livez HTTP/1.1\r\n\r\n", ("HTTP/1.1 200 OK", "")),
        ("\r\n\r\n", ("HTTP/1.1 405 Method Not Allowed", "only GET is answered\n")),
        ("GET /" + "x" * 20_000 + "\r\n\r\n", ("", "")),
    ],
)
async def test_what_is_no_question_of_a_monitor_is_refused(app, request_, answer):
    async with answering(Metrics(Worker(app)), 0) as port:
        assert await ask(port, request_) == answer


async def test_a_port_that_somebody_has_is_refused_in_a_sentence(app):
    async with answering(Metrics(Worker(app)), 0) as port:
        with pytest.raises(ConfigurationError, match=f"--health-port {port}: nothing can listen there"):
            async with answering(Metrics(Worker(app)), port):
                pass


async def test_a_worker_drains_once_it_holds_more_than_it_may(tmp_path):
    clock, sizes = StillClock(), iter([10, 20, 31])
    async with App(workflows=[NOTES], database=f"sqlite:///{tmp_path}/runs.db", clock=clock) as app:
        worker = Worker(app)
        assert await drain_when_large(worker, 30, lambda: next(sizes)) == 31
        assert worker.is_draining
        assert clock.slept == [1.0, 1.0]
        assert await worker.run() == {}
    assert 2**20 < resident_bytes() < 2**40


async def test_a_worker_starts_although_workflows_that_it_does_not_take_lack_their_models(tmp_path):
    async with App(workflows=[NOTES], database=f"sqlite:///{tmp_path}/runs.db") as app:
        (run_id,) = await enqueue(app)
        app.workflows["asks"] = ASKS
        with pytest.raises(ConfigurationError, match="asks: no model plays the role 'nobody'"):
            await Worker(app, until_empty=True).run()
        assert await Worker(app, until_empty=True, workflows=["notes"]).run() == {"succeeded": 1}
        assert await statuses(app, [run_id]) == ["succeeded"]
        (other,) = await enqueue(app)
        app.workflows["fails"] = FAILS
        assert await Worker(app, until_empty=True, workflows=["fails"]).run() == {}
        assert await statuses(app, [other]) == ["queued"]
