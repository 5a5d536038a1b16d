"""Every name that others gave: attributes of spans by OpenTelemetry, OpenInference and Langfuse."""

SEMCONV = "gen-ai/0.1.0"
"""The release of OpenTelemetry's GenAI conventions that `gen_ai.*` names are of; it stands on every export."""

# OpenTelemetry, in general
SERVICE_NAME, SERVICE_VERSION = "service.name", "service.version"
ERROR_TYPE, EXCEPTION = "error.type", "exception"
EXCEPTION_TYPE, EXCEPTION_MESSAGE = "exception.type", "exception.message"
USER_ID, SESSION_ID = "user.id", "session.id"

# OpenTelemetry, GenAI
OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
INVOKE_WORKFLOW, INVOKE_AGENT = "invoke_workflow", "invoke_agent"
AGENT_NAME, CONVERSATION_ID = "gen_ai.agent.name", "gen_ai.conversation.id"
REQUEST_MODEL, REQUEST_MAX_TOKENS = "gen_ai.request.model", "gen_ai.request.max_tokens"
RESPONSE_MODEL, RESPONSE_ID = "gen_ai.response.model", "gen_ai.response.id"
FINISH_REASONS, TIME_TO_FIRST_CHUNK = "gen_ai.response.finish_reasons", "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHE_READ, CACHE_WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"  # the name before 0.1.0, for one release
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
PROMPT_NAME, PROMPT_VERSION = "gen_ai.prompt.name", "gen_ai.prompt.version"
TOOL_NAME, DATA_SOURCE = "gen_ai.tool.name", "gen_ai.data_source.id"
TOOL_ARGUMENTS, TOOL_RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
INPUT_MESSAGES, OUTPUT_MESSAGES = "gen_ai.input.messages", "gen_ai.output.messages"
RETRIEVAL_QUERY, RETRIEVAL_TOP_K = "gen_ai.retrieval.query.text", "gen_ai.retrieval.top_k"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME, EVALUATION_EXPLANATION = "gen_ai.evaluation.name", "gen_ai.evaluation.explanation"
EVALUATION_SCORE, EVALUATION_LABEL = "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"

# OpenTelemetry, GenAI, proposed and not yet of a release
COST_AMOUNT, COST_CURRENCY, COST_SOURCE = (f"gen_ai.usage.cost.{part}" for part in ("amount", "currency", "source"))
GUARDRAIL = "gen_ai.guardrail.result"
GUARDRAIL_NAME, GUARDRAIL_REASON = "gen_ai.guardrail.component.name", "gen_ai.guardrail.result.reason"

# OpenInference, which Phoenix reads
OI_KIND, OI_INPUT, OI_OUTPUT = "openinference.span.kind", "input.value", "output.value"
OI_INPUT_KIND, OI_OUTPUT_KIND, JSON_KIND = "input.mime_type", "output.mime_type", "application/json"
OI_MODEL, OI_PROVIDER, OI_FINISH_REASON = "llm.model_name", "llm.provider", "llm.finish_reason"
OI_PROMPT_TOKENS, OI_COMPLETION_TOKENS = "llm.token_count.prompt", "llm.token_count.completion"
OI_CACHE_READ = "llm.token_count.prompt_details.cache_read"
OI_CACHE_WRITE = "llm.token_count.prompt_details.cache_write"
OI_REASONING, OI_COST = "llm.token_count.completion_details.reasoning", "llm.cost.total"
OI_PROMPT_VERSION, OI_TOOL, OI_AGENT = "llm.prompt_template.version", "tool.name", "agent.name"
OI_NODE_ID, OI_NODE_NAME, OI_NODE_PARENT = "graph.node.id", "graph.node.name", "graph.node.parent_id"

# Langfuse, which reads its own names before those of others
LF_TRACE_NAME, LF_VERSION, LF_RELEASE = "langfuse.trace.name", "langfuse.version", "langfuse.release"
LF_TRACE_INPUT, LF_TRACE_OUTPUT = "langfuse.trace.input", "langfuse.trace.output"
LF_TRACE_METADATA = "langfuse.trace.metadata"
LF_TYPE, LF_MODEL = "langfuse.observation.type", "langfuse.observation.model.name"
LF_USAGE, LF_COST = "langfuse.observation.usage_details", "langfuse.observation.cost_details"
LF_INPUT, LF_OUTPUT = "langfuse.observation.input", "langfuse.observation.output"
LF_LEVEL, LF_STATUS = "langfuse.observation.level", "langfuse.observation.status_message"
LF_PROMPT_NAME, LF_PROMPT_VERSION = "langfuse.observation.prompt.name", "langfuse.observation.prompt.version"


def own(name: str) -> str:
    """Give a name of our own, for what nobody else has a name for."""
    return f"flowledger.{name}"
