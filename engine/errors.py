"""Every error of the engine, one tree; what may be done about an error stands on its class.

EngineError
├── DefinitionError            a workflow that cannot be valid: every fault, a sentence each
├── ConfigurationError         an app, model, database address or option that cannot work
├── InputError                 the input of a run does not fit the state of its workflow
├── VersionChanged             a run cannot go on, because its workflow or models are not what they were
├── RunBusy                    a run cannot be taken, because a living process has it
├── StoreError                 the database cannot be opened, read or written
│   └── LeaseLost              the run has gone to another process; this one can write nothing of it
├── ExportFailed               whoever receives spans cannot be reached, or takes none
└── RunError                   ends a step, and the run unless a fallback takes over
    ├── CallError              one request to a model, tool or retriever failed
    │   ├── RateLimited · Overloaded · CallTimeout · ConnectionFailed · MalformedOutput     (retryable)
    │   ├── QuotaExhausted · ContentFiltered · ContextTooLong · BadRequest · AuthenticationFailed · TargetNotFound
    │   └── ToolFailed
    │       ├── AnswerLost     a tool did its work and returned what cannot be kept
    │       └── BrokeOff       a runnable stopped halfway, and may have done some of its work
    ├── BreakerOpen            the target has failed too often lately
    ├── NotAdmitted            a rate limit leaves no room for the call in time
    ├── StepTimeout            the step passed its deadline
    ├── AnswerRejected         a schema or guardrail turned a model's answer down
    ├── UpdateInvalid          a node wrote what its fields cannot hold
    ├── VisitsExceeded         a node was visited more often than its bound
    ├── NodeFailed             the code of a node raised
    ├── BudgetExceeded         the next call could pass a limit of the run
    ├── EffectUnknown          nobody knows whether an action that may happen once has happened
    ├── GuardrailFailed        a guardrail broke down, so nobody knows what it would have said
    └── GuardrailBlocked       a guardrail said no
        ├── ApprovalRequired   a guardrail asks for a person where none can be asked
        └── Refused            a person said no
"""

from collections.abc import Sequence
from typing import ClassVar


class EngineError(Exception):
    """Something went wrong in a way the engine knows; the message is one sentence for a person.

    Attributes:
        exit_code: what the command line answers with (1 run failed, 2 usage, 3 infrastructure).
        retryable: whether the same request may succeed a little later.
        recoverable: whether a fallback may take over.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    recoverable: ClassVar[bool] = False


class DefinitionError(EngineError):
    """A workflow that cannot be valid; not a ValueError, because pydantic would swallow it."""

    exit_code = 2

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        super().__init__(f"{subject} is not valid:{lines}")


class ConfigurationError(EngineError):
    """An app, model, database address or option that cannot work."""

    exit_code = 2


class InputError(EngineError):
    """The input of a run does not fit the state of its workflow."""

    exit_code = 2


class VersionChanged(EngineError):
    """A run cannot go on, because its workflow or models are not what they were; the message names what changed."""

    exit_code = 2


class RunBusy(EngineError):
    """A run cannot be taken, because a living process has it."""

    exit_code = 2


class StoreError(EngineError):
    """The database cannot be opened, read or written."""

    exit_code = 3


class LeaseLost(StoreError):
    """The run has gone to another process, so this one can write nothing of it."""


class ExportFailed(EngineError):
    """Whoever receives spans cannot be reached, or does not take them; what was sent before is there."""

    exit_code = 3


class RunError(EngineError):
    """Ends a step, and the run unless a fallback takes over.

    Attributes:
        kind: what went wrong, in a word that `fallback_on` takes; empty where nothing may take over.
    """

    kind: ClassVar[str] = ""


class CallError(RunError):
    """One request to a model, tool or retriever failed.

    Attributes:
        billed: whether the provider may charge for the request although it failed.
        ambiguous: whether the target may have done what was asked.
        retry_after: seconds the target asked to be left alone, if it said so.
    """

    exit_code = 3
    recoverable = True
    billed: ClassVar[bool] = False
    ambiguous: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(CallError):
    """The target asked to slow down (429)."""

    kind = "rate_limited"
    retryable = True


class Overloaded(CallError):
    """The target is up and cannot answer now (5xx)."""

    kind = "overloaded"
    retryable = True
    ambiguous = True


class CallTimeout(CallError):
    """No whole answer arrived in time; the provider may have worked, and may charge."""

    kind = "timeout"
    retryable = True
    billed = True
    ambiguous = True


class ConnectionFailed(CallError):
    """The connection could not be made or was cut; what was sent may be charged."""

    kind = "connection"
    retryable = True
    billed = True
    ambiguous = True


class MalformedOutput(CallError):
    """An answer arrived that cannot be used: cut off, not JSON, or not what the schema asks for."""

    kind = "malformed_output"
    exit_code = 1
    retryable = True
    billed = True


class QuotaExhausted(CallError):
    """The account of the target has nothing left to spend (a 429 that no waiting mends)."""

    kind = "quota"


class ContentFiltered(CallError):
    """The provider refused to answer this content."""

    kind = "content_filter"
    exit_code = 1
    billed = True


class ContextTooLong(CallError):
    """The request is longer than the model can read."""

    kind = "context_too_long"
    exit_code = 1


class BadRequest(CallError):
    """The target does not accept this request, and will not accept it later."""

    kind = "bad_request"


class AuthenticationFailed(CallError):
    """The target does not accept the key."""

    kind = "auth"


class TargetNotFound(CallError):
    """The target does not know this model or address."""

    kind = "not_found"


class ToolFailed(CallError):
    """A tool or retriever raised, or returned what cannot be kept."""

    kind = "tool_error"
    exit_code = 1


class AnswerLost(ToolFailed):
    """A tool did its work and returned what cannot be kept."""

    ambiguous = True


class BrokeOff(ToolFailed):
    """A runnable stopped halfway, and may have done some of its work."""

    ambiguous = True


class BreakerOpen(RunError):
    """The target has failed too often lately and is left alone for a while."""

    kind = "breaker_open"
    exit_code = 3
    recoverable = True


class NotAdmitted(RunError):
    """A rate limit, or a target that asked to be left alone, leaves no room for the call in time."""

    kind = "rate_limited"
    exit_code = 3
    recoverable = True


class StepTimeout(RunError):
    """The step passed its deadline."""

    kind = "step_timeout"
    recoverable = True


class AnswerRejected(RunError):
    """A schema or guardrail turned a model's answer down; the model is asked again while the node allows it."""

    kind = "answer_rejected"
    recoverable = True


class UpdateInvalid(RunError):
    """A node wrote what its fields cannot hold."""

    kind = "update_invalid"
    recoverable = True


class VisitsExceeded(RunError):
    """A node was visited more often than its bound."""

    kind = "visits_exceeded"
    recoverable = True


class NodeFailed(RunError):
    """The code of a node raised."""

    kind = "node_failed"
    recoverable = True


class BudgetExceeded(RunError):
    """The next call could pass a limit of the run, so it was not made."""


class Diverged(RunError):
    """A replay came to a request that the recorded run did not make, and may not make it."""


class EffectUnknown(RunError):
    """Nobody knows whether an action that may happen once has happened; a person looks and says so."""


class GuardrailFailed(RunError):
    """A guardrail broke down or took too long; the run goes on when it is mended, and no fallback leads around it."""


class GuardrailBlocked(RunError):
    """A guardrail said no; never a reason to fall back, for that would be a way around it."""


class ApprovalRequired(GuardrailBlocked):
    """A guardrail of a run's input or output asks for a person; there is no step that could wait for one."""


class Refused(GuardrailBlocked):
    """A person was asked whether something may be done, and said no; nothing may lead around that either."""


def _kinds_of(error: type[RunError]) -> set[str]:
    own = {error.kind} if error.kind and error.recoverable else set[str]()
    return own.union(*(_kinds_of(one) for one in error.__subclasses__()))


KINDS = tuple(sorted(_kinds_of(RunError)))
"""The kinds of errors that a fallback may take over from."""


def why_not(error: Exception) -> str:
    """Say why a file cannot be read or written, without the number and the path that Python adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
