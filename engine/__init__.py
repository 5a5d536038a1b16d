"""flowledger: agentic workflows with guardrails, budgets and a SQL ledger of every step."""

from engine.alarms.alarm import Alarm
from engine.app import App
from engine.definition.context_policy import History, Passages, ToolResults
from engine.definition.conversation import Conversation, Turn
from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.guard_policy import GuardRule
from engine.definition.guardrail import Action, GuardItem, Guardrail, Span, Stage, Verdict
from engine.definition.judge import Judge
from engine.definition.node import Node, Reply, StepContext, Update
from engine.definition.passage import Passage, Retrieved
from engine.definition.policies import Breaker, Budget, Cache, Hedge, Retry, Rung, Similar
from engine.definition.prompt import Prompt
from engine.definition.question import Decision, Question
from engine.definition.spend_limit import SpendLimit
from engine.definition.state import Append, MergeByKey, State
from engine.definition.text_origin import Source, TextOrigin
from engine.definition.workflow import Workflow
from engine.errors import (
    BudgetExceeded,
    CallError,
    ConfigurationError,
    DefinitionError,
    EngineError,
    GuardrailBlocked,
    InputError,
    Refused,
    RunError,
    StoreError,
    ToolFailed,
)
from engine.evals.case import Case
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import Evaluator, Score
from engine.evals.sampling import Sampling
from engine.evals.trial import Trial
from engine.models.extractive import Extractive
from engine.models.roles import Model
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.nodes.approve import Approve
from engine.nodes.ask import Ask
from engine.nodes.call_runnable import CallRunnable
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.difficulty import Difficulty
from engine.nodes.for_each import ForEach
from engine.nodes.generate import Generate
from engine.nodes.model_choice import Cascade, Switch
from engine.nodes.retrieve import Retrieve
from engine.nodes.subflow import Subflow
from engine.nodes.validate import Validate
from engine.records import RunStatus
from engine.runtime.enqueue import QueuePlace, RunRequest
from engine.runtime.events import (
    CallFinished,
    CallStarted,
    CustomEvent,
    Event,
    QuestionAsked,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    TextReset,
)
from engine.runtime.rate_limit import RateLimit
from engine.runtime.result import RunResult
from engine.schedules import Schedule
from engine.usage import Price, Usage
from engine.worker import Worker

__all__ = [
    "END",
    "START",
    "Action",
    "Agent",
    "AgentTool",
    "Alarm",
    "App",
    "Append",
    "Approve",
    "Ask",
    "Branch",
    "Breaker",
    "Budget",
    "BudgetExceeded",
    "Cache",
    "CallError",
    "CallFinished",
    "CallRunnable",
    "CallStarted",
    "CallTool",
    "Cascade",
    "Case",
    "Chain",
    "Compute",
    "ConfigurationError",
    "Conversation",
    "CustomEvent",
    "Decision",
    "DefinitionError",
    "Difficulty",
    "EngineError",
    "Evaluation",
    "Evaluator",
    "Event",
    "Extractive",
    "ForEach",
    "Generate",
    "GuardItem",
    "GuardRule",
    "Guardrail",
    "GuardrailBlocked",
    "Hedge",
    "History",
    "InputError",
    "Judge",
    "MergeByKey",
    "Model",
    "Node",
    "Parallel",
    "Passage",
    "Passages",
    "Price",
    "Prompt",
    "Question",
    "QuestionAsked",
    "QueuePlace",
    "RateLimit",
    "Refused",
    "Reply",
    "Retrieve",
    "Retrieved",
    "Retry",
    "RunError",
    "RunFinished",
    "RunRequest",
    "RunResult",
    "RunStarted",
    "RunStatus",
    "Rung",
    "Sampling",
    "Schedule",
    "Score",
    "Similar",
    "Source",
    "Span",
    "SpendLimit",
    "Stage",
    "State",
    "StepContext",
    "StepFinished",
    "StepStarted",
    "StoreError",
    "Subflow",
    "Switch",
    "TextDelta",
    "TextOrigin",
    "TextReset",
    "ToolFailed",
    "ToolResults",
    "Trial",
    "Turn",
    "Update",
    "Usage",
    "Validate",
    "Verdict",
    "Worker",
    "Workflow",
]
