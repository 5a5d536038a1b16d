"""Imports run down only, and what must stay behind one door does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold():
    ran = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_nothing_is_unpickled_or_evaluated():
    for package in ("engine", "guardrails", "tools", "workflows"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for word in ("import pickle", "eval(", "exec(", "yaml.load("):
                assert word not in text, f"{path}: {word}"
