"""`flowledger export`: spans reach a receiver whole, however busy it is, and tables are files that others read."""

import csv
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Receiver(HTTPServer):
    """Keeps spans as a collector does, and is busy or refuses as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.rejects = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> dict[bytes, bytes]:
        """The spans by their id."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        every = [span for one in requests for of in one.resource_spans for in_ in of.scope_spans for span in in_.spans]
        return {span.trace_id + span.span_id: span.SerializeToString() for span in every}


class _Answers(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        code, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        if self.path != "/v1/traces":
            code = 404
        if code == 200:
            self.server.bodies.append(body)
            self.server.headers = dict(self.headers)
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.server.rejects
        sent = response.SerializeToString()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ran(flowledger):
    """Give the command line with two runs in the ledger, one of which failed."""
    assert flowledger("run", "say", "question=Where is ada@example.com?", "--tenant", "acme").code == 0
    assert flowledger("run", "tool-raises", "question=q").code == 1
    return flowledger


def test_spans_arrive_whole_and_twice_is_the_same(ran, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc")
    first = ran("export", "otlp", "--endpoint", receiver.url, "--json")
    told = json.loads(first.out)
    assert told == {"runs": 2, "spans": 6}
    once = receiver.spans
    assert len(once) == 6
    assert receiver.headers["authorization"] == "Basic abc"
    assert json.loads(ran("export", "otlp", "--endpoint", receiver.url + "/v1/traces", "--json").out) == told
    assert receiver.spans == once
    assert b"ada@example.com" not in b"".join(receiver.bodies)


def test_a_busy_receiver_is_asked_again_when_it_says(ran, receiver):
    receiver.answers = [(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"})]
    assert ran("export", "otlp", "--endpoint", receiver.url).code == 0
    assert len(receiver.spans) == 6


@pytest.mark.parametrize(
    ("code", "rejects", "sentence"),
    [
        (401, 0, "refused the spans with 401"),
        (200, 3, "did not take 3 spans"),
    ],
)
def test_spans_that_are_not_taken_are_said(ran, receiver, code, rejects, sentence):
    receiver.answers, receiver.rejects = [(code, {})], rejects
    sent = ran("export", "otlp", "--endpoint", receiver.url)
    assert sent.code == 3
    assert sentence in sent.err
    assert len(sent.err.strip().splitlines()) == 1


def test_a_bookmark_gives_only_what_is_new(ran, receiver, tmp_path):
    again = ("export", "otlp", "--endpoint", receiver.url, "--bookmark", str(tmp_path / "mark"), "--json")
    assert json.loads(ran(*again).out)["runs"] == 2
    assert json.loads(ran(*again).out) == {"runs": 0, "spans": 0}
    assert ran("run", "say", "question=q").code == 0
    assert json.loads(ran(*again).out) == {"runs": 1, "spans": 3}
    (tmp_path / "mark").write_text("no bookmark")
    assert "is not one that an export wrote" in ran(*again).err


def test_lines_hold_what_was_said_when_asked_and_as_guardrails_leave_it(ran):
    line = ran("export", "otlp", "--to", "-", "--tenant", "acme", "--content").out
    assert "ada@example.com" in line
    masked = ran("export", "otlp", "--to", "-", "--tenant", "acme", "--content", "--redact", "guardrails:Pii").out
    assert "ada@example.com" not in masked
    assert "[EMAIL" in masked
    (span,) = [one for one in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"] if one["kind"] == 3]
    assert span["name"] == "chat scripted"
    run_id = json.loads(ran("runs", "--status", "failed", "--json").out)[0]["run_id"]
    assert run_id in ran("export", "otlp", "--to", "-", "--run", run_id[-8:]).out


def test_a_table_is_a_file_of_three_kinds_without_what_was_said(ran, tmp_path):
    for kind in ("parquet", "csv", "jsonl"):
        told = json.loads(ran("export", "table", "runs", "--to", str(tmp_path / f"runs.{kind}"), "--json").out)
        assert (told["rows"], "input_payload" in told["left_out"]) == (2, True)
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    table = pq.read_table(tmp_path / "runs.parquet")
    assert table.column("run_id").to_pylist() == [row["run_id"] for row in rows] == [one["run_id"] for one in lines]
    assert str(table.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    assert table.column("cost_nano_usd").to_pylist() == [one["cost_nano_usd"] for one in lines]
    assert "ada@example.com" not in (tmp_path / "runs.csv").read_text()


def test_a_table_with_what_was_said_has_it_whole(ran, tmp_path):
    ran("export", "table", "calls", "--to", str(tmp_path / "calls.jsonl"), "--content")
    asked = [json.loads(line)["request_payload"] for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert any("ada@example.com" in one and json.loads(one)["messages"] for one in asked)
    assert ran("export", "table", "payloads", "--to", str(tmp_path / "p.csv"), "--content").code == 0
    assert "sha256" not in ran("export", "table", "api_tokens", "--to", str(tmp_path / "t.csv"), "--content").out
    assert (tmp_path / "t.csv").read_text().startswith("token_id,name,tenant,scopes,created_at")


def test_a_table_since_a_moment_goes_by_its_own_time_or_the_run(ran, tmp_path):
    def rows(name: str, since: str) -> int:
        return json.loads(ran("export", "table", name, "--to", "t.csv", "--since", since, "--json").out)["rows"]

    assert (rows("calls", "1h"), rows("calls", "2999-01-01")) == (2, 0)
    assert rows("call_costs", "1h") == 0
    assert "tells no time" in ran("export", "table", "queues", "--to", "t.csv", "--since", "1h").err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["otlp"], "say where to: --to FILE, --to - or --endpoint URL"),
        (["otlp", "--to", "x", "--endpoint", "http://x"], "--to is a file and --endpoint a collector"),
        (["otlp", "--endpoint", "localhost:4318"], "--endpoint 'localhost:4318' is no address"),
        (["otlp", "--endpoint", "localhost:4318?key=secret"], "--endpoint 'localhost:4318' is no address"),
        (["otlp", "--endpoint", "http://a:b@host"], "--endpoint holds a password"),
        (["otlp", "--endpoint", "ftp://a:b@host"], "--endpoint holds a password"),
        (["otlp", "--endpoint", "http://localhost:99999"], "--endpoint is no address"),
        (["otlp", "--to", "-", "--profile", "jaeger"], "--profile 'jaeger': choose one of otel, openinference"),
        (["otlp", "--to", "-", "--status", "good"], "--status 'good': a run is one of"),
        (["otlp", "--to", "-", "--run", "x", "--bookmark", "m"], "--run names runs, and --bookmark"),
        (["otlp", "--to", "nowhere/spans"], "--to nowhere/spans cannot be written"),
        (["otlp", "--to", "-", "--bookmark", "nowhere/mark"], "--bookmark nowhere/mark cannot be written"),
        (["table", "nope", "--to", "x.csv"], "there is no table 'nope': the ledger has alarm_deliveries"),
        (["table", "runs", "--to", "runs.txt"], "name a file that ends in .parquet, .csv, .jsonl"),
        (["table", "runs", "--to", "nowhere/runs.csv"], "--to nowhere/runs.csv cannot be written"),
    ],
)
def test_a_wrong_option_gets_one_sentence(flowledger, monkeypatch, arguments, sentence):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    wrong = flowledger("export", *arguments)
    assert wrong.code == 2
    assert sentence in wrong.err
    assert len(wrong.err.strip().splitlines()) == 1


def test_nobody_at_the_address_is_said_after_some_tries(ran, monkeypatch):
    monkeypatch.setattr("engine.exports.send._WAITS", ())
    away = ran("export", "otlp", "--endpoint", "http://127.0.0.1:9")
    assert away.code == 3
    assert "cannot be reached" in away.err
