"""flowledger: agentic workflows with guardrails, budgets and a SQL ledger of every step."""

from engine.definition.guardrail import Action, GuardItem, Guardrail, Span, Stage, Verdict
from engine.definition.passage import Passage, Retrieved
from engine.errors import ConfigurationError, DefinitionError, EngineError, InputError, RunError, StoreError, ToolFailed

__all__ = [
    "Action",
    "ConfigurationError",
    "DefinitionError",
    "EngineError",
    "GuardItem",
    "Guardrail",
    "InputError",
    "Passage",
    "Retrieved",
    "RunError",
    "Span",
    "Stage",
    "StoreError",
    "ToolFailed",
    "Verdict",
]
