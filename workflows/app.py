"""The deployment's choices: which model plays which role, in which database, over which documents.

The embedded answerer plays every role by default: it needs no key and no server, and it only quotes. For a real model
set FLOWLEDGER_MODEL_LARGE=openai:gpt-5-mini (and ..._SMALL), or write Model("openai:...") here.
"""

from engine import App, Evaluation, Model
from engine.evals.evaluators import Contains, Equals
from guardrails import Pii
from tools.documents import index_folder
from workflows.answer_docs import answer_docs
from workflows.triage import triage

app = App(
    workflows=[answer_docs, triage],
    models={"large": Model("embedded"), "small": Model("embedded")},
    indexer=index_folder,
    evaluation=Evaluation(
        redact=[Pii()],
        evaluators={
            "answer-docs": [Equals(of="verdict"), Contains(of="answer", expected="contains")],
            "triage": [Equals(of="category")],
        },
    ),
)
