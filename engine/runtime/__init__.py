"""How a run runs: two stacks of middleware around LangGraph."""
