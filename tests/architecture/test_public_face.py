"""The public face is a pinned list; what is not on it may change."""

import engine
import guardrails

FACE = """
    END START Action Agent AgentTool Alarm App Append Approve Ask Branch Breaker Budget BudgetExceeded Cache CallError
    CallFinished CallRunnable CallStarted CallTool Cascade Case Chain Compute ConfigurationError Conversation
    CustomEvent Decision DefinitionError Difficulty EngineError Evaluation Evaluator Event Extractive ForEach
    Generate GuardItem GuardRule Guardrail GuardrailBlocked Hedge History InputError Judge MergeByKey Model Node
    Parallel Passage Passages Price Prompt Question QuestionAsked QueuePlace RateLimit Refused Reply Retrieve
    Retrieved Retry RunError RunFinished RunRequest RunResult RunStarted RunStatus Rung Sampling Schedule Score Similar
    Source
    Span SpendLimit Stage State StepContext StepFinished StepStarted StoreError Subflow Switch TextDelta TextOrigin
    TextReset ToolFailed ToolResults Trial Turn Update Usage Validate Verdict Worker Workflow
""".split()


GUARDRAILS = """
    ArgumentRule Canary Citations Exfiltration Grounding Injection JsonSchema Language MaxLength
    OnnxClassifier Pii PresidioPii Provenance Secrets
    ShellCommand ShellPolicy SqlPolicy ToolPolicy ToolRule Topic TopicRule
""".split()


def test_the_face_is_what_is_pinned_here():
    assert sorted(engine.__all__) == sorted(FACE)
    assert all(hasattr(engine, name) for name in FACE)


def test_the_shipped_guardrails_are_pinned_too():
    assert sorted(guardrails.__all__) == sorted(GUARDRAILS)
    assert all(hasattr(guardrails, name) for name in GUARDRAILS)
