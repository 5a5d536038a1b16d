"""Guardrails that come with flowledger."""

from guardrails.canary import Canary
from guardrails.citations import Citations
from guardrails.exfiltration import Exfiltration
from guardrails.grounding import Grounding
from guardrails.injection import Injection
from guardrails.json_schema import JsonSchema
from guardrails.language import Language
from guardrails.max_length import MaxLength
from guardrails.onnx_classifier import OnnxClassifier
from guardrails.pii import Pii
from guardrails.presidio_pii import PresidioPii
from guardrails.provenance import Provenance
from guardrails.secrets import Secrets
from guardrails.shell_policy import ShellCommand, ShellPolicy
from guardrails.sql_policy import SqlPolicy
from guardrails.tool_policy import ArgumentRule, ToolPolicy, ToolRule
from guardrails.topic import Topic, TopicRule

__all__ = [
    "ArgumentRule",
    "Canary",
    "Citations",
    "Exfiltration",
    "Grounding",
    "Injection",
    "JsonSchema",
    "Language",
    "MaxLength",
    "OnnxClassifier",
    "Pii",
    "PresidioPii",
    "Provenance",
    "Secrets",
    "ShellCommand",
    "ShellPolicy",
    "SqlPolicy",
    "ToolPolicy",
    "ToolRule",
    "Topic",
    "TopicRule",
]
