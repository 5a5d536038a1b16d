"""The public face is a pinned list; what is not on it may change."""

import engine

FACE = """
    END START Action App Append Approve Ask Branch Breaker Budget BudgetExceeded Cache CallError CallTool Chain
    Compute ConfigurationError Decision DefinitionError EngineError Extractive ForEach Generate GuardItem
    Guardrail GuardrailBlocked InputError MergeByKey Model Node Parallel Passage Price Prompt Question Reply
    Retrieve Retrieved Retry RunError RunResult RunStatus Span Stage State StepContext StoreError Subflow
    ToolFailed Update Usage Validate Verdict Workflow
""".split()


def test_the_face_is_what_is_pinned_here():
    assert sorted(engine.__all__) == sorted(FACE)
    assert all(hasattr(engine, name) for name in FACE)
