"""Where public data for tests lies, beside the project; tests that need it skip with a reason where it is absent."""

from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GUARDRAILS, EVALUATION = DATA / "guardrails", DATA / "evaluation"
