"""The attributes of spans: OpenTelemetry's always, and besides them those of the tool that is to show the spans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.eval_records import ScoreRecord
from engine.exports import names
from engine.exports.content import content_of, text_of
from engine.exports.names import own
from engine.records import CallRecord, OutcomeRecord, RunRecord, StepRecord, VerdictRecord

Attributes = dict[str, Any]
"""Texts, whole numbers, floats, truths, and lists of texts, by name."""


_OI_KINDS = {"chat": "LLM", "embeddings": "EMBEDDING", "retrieval": "RETRIEVER", "execute_tool": "TOOL"}
_LF_TYPES = {"chat": "generation", "embeddings": "embedding", "retrieval": "retriever", "execute_tool": "tool"}


@dataclass(frozen=True, slots=True)
class Said:
    """What went in and came out; None where it is not to be told, or there is none."""

    read: Any
    wrote: Any


class Profile:
    """The names of one tool, besides OpenTelemetry's; this one has none."""

    def of_run(self, run: RunRecord, said: Said) -> Attributes:
        """Give the attributes of a run."""
        return _known({own("run.input"): _text(said.read), own("run.output"): _text(said.wrote)})

    def of_step(self, step: StepRecord, said: Said) -> Attributes:
        """Give the attributes of a step."""
        return _known({own("step.input"): _text(said.read), own("step.update"): _text(said.wrote)})

    def of_call(self, call: CallRecord, said: Said) -> Attributes:
        """Give the attributes of a call; OpenTelemetry has names for what was said in it."""
        return {}


class OpenInference(Profile):
    """Names that Phoenix reads."""

    def of_run(self, run: RunRecord, said: Said) -> Attributes:
        """Give the attributes of a run."""
        named = {names.OI_AGENT: run.workflow, names.SESSION_ID: run.conversation_id}
        return _known({names.OI_KIND: "CHAIN"} | named | self._content(said))

    def of_step(self, step: StepRecord, said: Said) -> Attributes:
        """Give the attributes of a step."""
        agent = is_agent(step)
        node = {
            names.OI_KIND: "AGENT" if agent else "CHAIN",
            names.OI_AGENT: step.node_name if agent else None,
            names.OI_NODE_ID: step.node_name,
            names.OI_NODE_NAME: step.node_name.rpartition("/")[2],
            names.OI_NODE_PARENT: step.node_name.rpartition("/")[0] or None,
        }
        return _known(node | self._content(said))

    def of_call(self, call: CallRecord, said: Said) -> Attributes:
        """Give the attributes of a call."""
        cost = None if call.cost_nano_usd is None or call.provider_name is None else call.cost_nano_usd / 1e9
        told = {
            names.OI_KIND: _OI_KINDS.get(call.operation_name, "CHAIN"),
            names.OI_MODEL: call.response_model or call.request_model,
            names.OI_PROVIDER: call.provider_name,
            names.OI_PROMPT_TOKENS: call.usage_input_tokens,
            names.OI_CACHE_READ: call.usage_cache_read_input_tokens,
            names.OI_CACHE_WRITE: call.usage_cache_write_input_tokens,
            names.OI_COMPLETION_TOKENS: call.usage_output_tokens,
            names.OI_REASONING: call.usage_reasoning_output_tokens,
            names.OI_COST: cost,
            names.OI_FINISH_REASON: call.finish_reason,
            names.OI_PROMPT_VERSION: call.prompt_version,
            names.OI_TOOL: call.tool_name if call.operation_name == "execute_tool" else None,
        }
        return _known(told | self._content(said))

    def _content(self, said: Said) -> Attributes:
        read, wrote = _text(said.read), _text(said.wrote)
        return {
            names.OI_INPUT: read,
            names.OI_INPUT_KIND: None if read is None else names.JSON_KIND,
            names.OI_OUTPUT: wrote,
            names.OI_OUTPUT_KIND: None if wrote is None else names.JSON_KIND,
        }


class Langfuse(Profile):
    """Names that Langfuse reads before all others."""

    def of_run(self, run: RunRecord, said: Said) -> Attributes:
        """Give the attributes of a run."""
        told = {
            names.LF_TYPE: "chain",
            names.LF_TRACE_NAME: run.workflow,
            names.LF_VERSION: run.version,
            names.LF_RELEASE: run.git_commit,
            names.SESSION_ID: run.conversation_id,
            names.LF_TRACE_INPUT: _text(said.read),
            names.LF_TRACE_OUTPUT: _text(said.wrote),
            **{
                f"{names.LF_TRACE_METADATA}.{name}": value
                for name, value in (("tenant", run.tenant), ("status", str(run.status)), ("origin", run.origin))
            },
        }
        return _known(told | self._result(run, said))

    def of_step(self, step: StepRecord, said: Said) -> Attributes:
        """Give the attributes of a step."""
        return _known({names.LF_TYPE: "agent" if is_agent(step) else "span"} | self._result(step, said))

    def of_call(self, call: CallRecord, said: Said) -> Attributes:
        """Give the attributes of a call; cached tokens are told apart from the others, as Langfuse adds them up."""
        cached = (call.usage_cache_read_input_tokens or 0) + (call.usage_cache_write_input_tokens or 0)
        usage = {
            "input": None if call.usage_input_tokens is None else call.usage_input_tokens - cached,
            "input_cached_tokens": call.usage_cache_read_input_tokens,
            "input_cache_creation": call.usage_cache_write_input_tokens,
            "output": call.usage_output_tokens,
        }
        priced = call.cost_nano_usd is not None and call.provider_name is not None
        told = {
            names.LF_TYPE: _LF_TYPES.get(call.operation_name, "span"),
            names.LF_MODEL: call.response_model or call.request_model,
            names.LF_USAGE: _text(_known(usage) or None),
            names.LF_COST: _text({"total": (call.cost_nano_usd or 0) / 1e9}) if priced else None,
            names.LF_PROMPT_NAME: call.prompt_name,
            names.LF_PROMPT_VERSION: call.prompt_version,
        }
        return _known(told | self._result(call, said))

    def _result(self, of: RunRecord | StepRecord | CallRecord, said: Said) -> Attributes:
        return {
            names.LF_INPUT: _text(said.read),
            names.LF_OUTPUT: _text(said.wrote),
            names.LF_LEVEL: None if of.error_type is None else "ERROR",
            names.LF_STATUS: of.error_message,
        }


PROFILES: Mapping[str, Profile] = {"otel": Profile(), "openinference": OpenInference(), "langfuse": Langfuse()}
"""By what `--profile` takes."""


def is_agent(step: StepRecord) -> bool:
    """Say whether a step is a model with tools in a loop."""
    return step.node_kind.rpartition(":")[2] == "Agent"


def of_run(run: RunRecord) -> Attributes:
    """Give OpenTelemetry's attributes of a run."""
    ours = ("version", "status", "tenant", "origin", "parent_run_id", "batch_id", "schedule", "git_commit")
    counted = ("steps", "calls", "usage_input_tokens", "usage_output_tokens", "cost_nano_usd")
    return _known(
        {
            names.OPERATION: names.INVOKE_WORKFLOW,
            names.AGENT_NAME: run.workflow,
            names.CONVERSATION_ID: run.conversation_id,
            names.USER_ID: run.user_id,
            names.ERROR_TYPE: run.error_type,
            own("run.id"): run.run_id,
            **{own(f"run.{name}"): getattr(run, name) for name in (*ours, *counted)},
        }
    )


def of_step(step: StepRecord) -> Attributes:
    """Give OpenTelemetry's attributes of a step; only an agent is an operation to it."""
    agent = is_agent(step)
    ours = ("node_name", "node_kind", "visit", "attempt", "status", "cached", "item", "goto", "fallback_to")
    return _known(
        {
            names.OPERATION: names.INVOKE_AGENT if agent else None,
            names.AGENT_NAME: step.node_name if agent else None,
            names.ERROR_TYPE: step.error_type,
            **{
                own(f"step.{name}"): getattr(step, name)
                for name in (*ours, "degraded", "routed", "saved_nano_usd", "saved_tokens")
            },
        }
    )


def of_call(call: CallRecord, said: Said) -> Attributes:
    """Give OpenTelemetry's attributes of a call, and what was said in it where that is told."""
    is_model = call.provider_name is not None
    first = call.time_to_first_chunk_ns
    cost = None if call.cost_nano_usd is None or not is_model else call.cost_nano_usd
    ours = ("status", "attempt", "ordinal", "target", "purpose", "tool_effect", "charged_tokens", "charged_nano_usd")
    return _known(
        {
            names.OPERATION: call.operation_name,
            names.PROVIDER: call.provider_name,
            names.REQUEST_MODEL: call.request_model,
            names.REQUEST_MAX_TOKENS: call.request_max_tokens,
            names.RESPONSE_MODEL: call.response_model,
            names.RESPONSE_ID: call.response_id,
            names.FINISH_REASONS: None if call.finish_reason is None else [call.finish_reason],
            names.TIME_TO_FIRST_CHUNK: None if first is None else first / 1e9,
            names.INPUT_TOKENS: call.usage_input_tokens,
            names.CACHE_READ: call.usage_cache_read_input_tokens,
            names.CACHE_WRITE: call.usage_cache_write_input_tokens,
            names.CACHE_CREATION: call.usage_cache_write_input_tokens,
            names.OUTPUT_TOKENS: call.usage_output_tokens,
            names.REASONING_TOKENS: call.usage_reasoning_output_tokens,
            names.PROMPT_NAME: call.prompt_name,
            names.PROMPT_VERSION: call.prompt_version,
            names.TOOL_NAME: call.tool_name if call.operation_name == "execute_tool" else None,
            names.DATA_SOURCE: call.tool_name if call.operation_name == "retrieval" else None,
            names.ERROR_TYPE: call.error_type,
            names.COST_AMOUNT: None if cost is None else cost / 1e9,
            names.COST_CURRENCY: None if cost is None else "USD",
            names.COST_SOURCE: None if cost is None else "local",
            own("call.cost_nano_usd"): cost,
            own("call.cost_source"): call.cost_source if is_model else None,
            own("call.price_catalogue_id"): call.price_catalogue_id,
            own("call.retriever_version"): call.retriever_version,
            **{own(f"call.{name}"): getattr(call, name) for name in ours},
        }
        | (content_of(call, said.read, said.wrote) if said.read is not None or said.wrote is not None else {})
    )


def of_verdict(verdict: VerdictRecord) -> Attributes:
    """Give the attributes of what a guardrail said; what it did about it has a name of ours."""
    ours = ("action", "stage", "path", "score")
    return _known(
        {
            names.GUARDRAIL_NAME: verdict.guardrail,
            names.GUARDRAIL_REASON: verdict.reason,
            **{own(f"guardrail.{name}"): getattr(verdict, name) for name in ours},
        }
    )


def of_outcome(outcome: OutcomeRecord) -> Attributes:
    """Give the attributes of what became of a run."""
    label = None if outcome.success is None else "success" if outcome.success else "failure"
    return _known(
        {
            names.EVALUATION_NAME: outcome.name,
            names.EVALUATION_LABEL: label,
            names.EVALUATION_SCORE: outcome.value,
            own("outcome.source"): outcome.source,
        }
    )


def of_score(score: ScoreRecord) -> Attributes:
    """Give the attributes of what an evaluator said."""
    return _known(
        {
            names.EVALUATION_NAME: score.evaluator,
            names.EVALUATION_SCORE: score.score,
            own("evaluation.value"): score.value,
            own("evaluation.evaluator_version"): score.evaluator_version,
            own("evaluation.experiment_id"): score.experiment_id,
        }
    )


def _text(value: Any) -> str | None:
    return None if value is None else text_of(value)


def _known(attributes: Mapping[str, Any]) -> Attributes:
    """Leave out what is not known."""
    return {name: value for name, value in attributes.items() if value is not None}
