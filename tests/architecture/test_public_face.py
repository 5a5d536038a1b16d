"""The public face is a pinned list; what is not on it may change."""

import engine

FACE = """
    END START Action Agent AgentTool App Append Approve Ask Branch Breaker Budget BudgetExceeded Cache CallError
    CallFinished CallRunnable CallStarted CallTool Cascade Case Chain Compute ConfigurationError Conversation
    CustomEvent Decision DefinitionError Difficulty EngineError Evaluation Evaluator Event Extractive ForEach
    Generate GuardItem GuardRule Guardrail GuardrailBlocked Hedge History InputError Judge MergeByKey Model Node
    Parallel Passage Passages Price Prompt Question QuestionAsked QueuePlace RateLimit Refused Reply Retrieve
    Retrieved Retry RunError RunFinished RunRequest RunResult RunStarted RunStatus Rung Schedule Score Similar Source
    Span SpendLimit Stage State StepContext StepFinished StepStarted StoreError Subflow Switch TextDelta TextOrigin
    TextReset ToolFailed ToolResults Trial Turn Update Usage Validate Verdict Worker Workflow
""".split()


def test_the_face_is_what_is_pinned_here():
    assert sorted(engine.__all__) == sorted(FACE)
    assert all(hasattr(engine, name) for name in FACE)
