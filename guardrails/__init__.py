"""Guardrails that come with flowledger."""
