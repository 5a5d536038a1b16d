"""Evaluators: what a trial is worth, by one yardstick each; deterministic ones first, judges last."""

from engine.evals.evaluators.answers import Contains, Equals, FitsSchema, Length, Matches, Near, WordF1
from engine.evals.evaluators.budget import Cost, Duration, Tokens
from engine.evals.evaluators.evaluator import Evaluator, FunctionEvaluator, Score, Succeeded
from engine.evals.evaluators.grounding import QuotesStand, Supported
from engine.evals.evaluators.judge import Judge, Preferred
from engine.evals.evaluators.retrieval import AllFound, Found, Ndcg, Precision, Recall, ReciprocalRank
from engine.evals.evaluators.safety import Safe
from engine.evals.evaluators.trajectory import Abstains, Arguments, Calls, FinalState, ForbiddenTools, NoLoops, Tools

__all__ = [
    "Abstains",
    "AllFound",
    "Arguments",
    "Calls",
    "Contains",
    "Cost",
    "Duration",
    "Equals",
    "Evaluator",
    "FinalState",
    "FitsSchema",
    "ForbiddenTools",
    "Found",
    "FunctionEvaluator",
    "Judge",
    "Length",
    "Matches",
    "Ndcg",
    "Near",
    "NoLoops",
    "Precision",
    "Preferred",
    "QuotesStand",
    "Recall",
    "ReciprocalRank",
    "Safe",
    "Score",
    "Succeeded",
    "Supported",
    "Tokens",
    "Tools",
    "WordF1",
]
