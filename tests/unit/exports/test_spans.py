"""Runs become spans: complete, with the same ids each time, under the names of whoever shows them."""

import base64
import json
from datetime import timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from engine.exports import names
from engine.exports.attributes import PROFILES
from engine.exports.otlp import Resource, as_protobuf, request_of
from engine.exports.spans import root_id_of, spans_of
from engine.records import OutcomeRecord, RunStatus, VerdictRecord
from engine.store.whole_runs import WholeRun
from tests.old_runs import OLD, call, run, step

ME = Resource("shop", "1.0")
REQUEST = '{"messages":[{"role":"human","content":"What is due?"}],"max_tokens":50}'
ANSWER = '{"type":"ai","content":"Two things.","tool_calls":[{"id":"c1","name":"look","args":{"day":1}}]}'
SAID = {REQUEST: json.loads(REQUEST), ANSWER: json.loads(ANSWER), '"x"': "x"}


def resumed() -> WholeRun:
    """Give a run that failed at a retried call, was resumed and came to an end."""
    later = OLD + timedelta(hours=1)
    usage = {"provider_name": "openai", "request_model": "gpt-5-mini", "usage_input_tokens": 100}
    usage |= {"usage_output_tokens": 7, "usage_cache_read_input_tokens": 40, "cost_nano_usd": 2_500, "target": "large"}
    first = call(1, status="failed", error_type="Overloaded", error_message="come again", duration_ns=5_000)
    second = call(
        2, status="ok", **{key: value for key, value in usage.items() if key != "target"}, finish_reason="stop"
    )
    second.step_id, second.attempt, second.started_at = first.step_id, 2, later + timedelta(seconds=1)
    second.request_payload, second.response_payload = REQUEST, ANSWER
    tried = step(1, status="failed", error_type="Overloaded", duration_ns=6_000)
    again = step(1, status="ok", duration_ns=9_000)
    again.attempt, again.started_at = 2, later
    record = run(1, later + timedelta(minutes=1), RunStatus.SUCCEEDED, user_id="u1", conversation_id="talk")
    record.parent_run_id, record.origin, record.input_payload = f"{9:032x}", "replay", '"x"'
    verdict = VerdictRecord(
        run_id=record.run_id,
        guardrail="pii",
        stage="model_output",
        action="mask",
        reason="an address",
        created_at=later,
    )
    verdict.step_id = again.step_id
    said = OutcomeRecord(run_id=record.run_id, name="solved", source="person", created_at=later, success=True)
    return WholeRun(run=record, steps=[tried, again], calls=[first, second], verdicts=[verdict], outcomes=[said])


def decoded(profile: str = "otel", said=None):
    """Give the spans as a receiver that knows the protocol reads them."""
    body = as_protobuf(request_of(spans_of(resumed(), PROFILES[profile], said), ME))
    (of,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {one.key: one.value.string_value for one in of.resource.attributes}["service.name"] == "shop"
    return list(of.scope_spans[0].spans)


def told(span) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_every_try_of_a_step_and_call_is_a_span_where_it_happened():
    root, tried, again, failed, answered = decoded()
    assert (root.trace_id.hex(), root.parent_span_id) == (resumed().run.run_id, b"")
    assert [span.name for span in (root, tried, answered)] == ["invoke_workflow ask", "draft", "chat gpt-5-mini"]
    assert tried.parent_span_id == again.parent_span_id == root.span_id
    assert (failed.parent_span_id, answered.parent_span_id) == (tried.span_id, again.span_id)
    assert [(span.status.code, span.status.message) for span in (failed, answered)] == [(2, "come again"), (0, "")]
    assert failed.end_time_unix_nano - failed.start_time_unix_nano == 5_000
    assert len({span.span_id for span in (root, tried, again, failed, answered)}) == 5


def test_links_lead_from_a_replay_to_its_run_and_from_a_try_to_the_one_before():
    root, tried, again, failed, answered = decoded()
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in root.links] == [
        (f"{9:032x}", root_id_of(f"{9:032x}"))
    ]
    assert [link.span_id for link in again.links] == [tried.span_id]
    assert [link.span_id for link in answered.links] == [failed.span_id]


def test_tokens_cost_errors_verdicts_and_outcomes_have_the_names_of_the_conventions():
    root, _, again, failed, answered = decoded()
    call_says = told(answered)
    assert call_says[names.INPUT_TOKENS] == 100  # cached tokens included
    assert (call_says[names.CACHE_READ], call_says[names.OUTPUT_TOKENS]) == (40, 7)
    assert (call_says[names.COST_AMOUNT], call_says["flowledger.call.cost_nano_usd"]) == (2.5e-6, 2_500)
    assert told(failed)[names.ERROR_TYPE] == "Overloaded"
    assert [event.name for event in failed.events] == ["exception"]
    assert (told(root)[names.USER_ID], told(root)[names.CONVERSATION_ID]) == ("u1", "talk")
    (verdict,) = again.events
    assert (verdict.name, told(verdict)["flowledger.guardrail.action"]) == (names.GUARDRAIL, "mask")
    (outcome,) = root.events
    assert told(outcome) == {
        names.EVALUATION_NAME: "solved",
        names.EVALUATION_LABEL: "success",
        "flowledger.outcome.source": "person",
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_said_is_given_only_where_it_is_asked_for(profile):
    silent = b"".join(span.SerializeToString() for span in decoded(profile))
    assert b"What is due?" not in silent
    assert b"Two things." not in silent
    telling = b"".join(span.SerializeToString() for span in decoded(profile, SAID))
    assert b"What is due?" in telling
    assert b"Two things." in telling


def test_messages_have_the_form_of_the_conventions():
    said = told(decoded(said=SAID)[-1])
    assert json.loads(said[names.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is due?"}]}
    ]
    (answer,) = json.loads(said[names.OUTPUT_MESSAGES])
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert [part["type"] for part in answer["parts"]] == ["text", "tool_call"]


def test_other_profiles_have_the_names_that_their_tools_read_besides():
    spans = {profile: decoded(profile) for profile in PROFILES}
    assert [told(span)[names.OI_KIND] for span in spans["openinference"]] == ["CHAIN", "CHAIN", "CHAIN", "LLM", "LLM"]
    assert told(spans["openinference"][-1])[names.OI_PROMPT_TOKENS] == 100
    langfuse = told(spans["langfuse"][-1])
    assert langfuse[names.LF_TYPE] == "generation"
    assert json.loads(langfuse[names.LF_USAGE]) == {"input": 60, "input_cached_tokens": 40, "output": 7}
    assert told(spans["langfuse"][3])[names.LF_LEVEL] == "ERROR"
    assert all(told(one)[names.PROVIDER] == "openai" for one in (span[-1] for span in spans.values()))


def test_the_same_run_is_the_same_bytes_each_time():
    assert as_protobuf(request_of(spans_of(resumed(), PROFILES["otel"]), ME)) == as_protobuf(
        request_of(spans_of(resumed(), PROFILES["otel"]), ME)
    )


def test_the_json_has_ids_in_hex_and_long_numbers_as_text_and_holds_half_letters():
    whole = resumed()
    whole.run.user_id = "half \ud800 letter"
    request = request_of(spans_of(whole, PROFILES["otel"]), ME)
    span = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["traceId"] == whole.run.run_id
    assert span["startTimeUnixNano"].isdecimal()
    assert "half ? letter" in json.dumps(request)
    assert base64.b64encode(as_protobuf(request))
