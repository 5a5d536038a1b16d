"""Guardrails that come with flowledger."""

from guardrails.citations import Citations
from guardrails.injection import Injection
from guardrails.json_schema import JsonSchema
from guardrails.max_length import MaxLength
from guardrails.pii import Pii
from guardrails.provenance import Provenance
from guardrails.tool_allow_list import ToolAllowList

__all__ = ["Citations", "Injection", "JsonSchema", "MaxLength", "Pii", "Provenance", "ToolAllowList"]
