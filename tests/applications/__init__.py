"""Applications that people build with LangGraph, as definitions."""
