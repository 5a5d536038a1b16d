"""Run LangGraph's own persistence tests on our checkpointer.

    uv run python tests/upstream/langgraph_suite.py
    uv run python tests/upstream/langgraph_suite.py --database postgresql://USER@HOST/NAME -- -k interrupt

The tests come with the source distribution of the LangGraph that is installed; they run in an environment of their own,
which has the same versions as this one, and every test gets a database of its own: a memory, a new file beside the one
named, or a new schema. `--stock` runs the same tests on LangGraph's savers instead, which shows what fails upstream.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

KNOWN_UPSTREAM: dict[str, str] = {}
"""Beginnings of names of tests that fail on LangGraph's own savers too, each with the reason; they are not run."""

NOT_OURS: dict[str, str] = {
    "tests/test_checkpoint_migration.py::test_saved_checkpoint_state_graph": "goes on from checkpoints of LangGraph's "
    "savers, whose versions are texts; ours are whole numbers, and the two cannot be compared",
}
"""Beginnings of names of tests that ask for what our checkpointer leaves out on purpose; they are not run."""

ASKS_FOR_A_SAVER = re.compile(r"\b(?:sync|async)_checkpointer\b")
NEEDED = [
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",  # their conftest imports it, and redis
    "psycopg-pool",
    "redis",
    "pytest",
    "pytest-mock",
    "syrupy",
    "anyio",
    "httpx",
]


def main() -> int:
    """Run the suite once a database; give the first code of pytest that is not zero."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", action="append", metavar="URL", help="may be repeated; by default SQLite twice")
    parser.add_argument("--stock", action="store_true", help="run on LangGraph's own savers, known failures included")
    parser.add_argument("pytest_options", nargs="*", metavar="-- PYTEST_OPTION")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowledger-upstream-") as name:
        folder = Path(name)
        named = given.database or ["sqlite:///:memory:", f"sqlite:///{folder}/upstream.db"]
        suite = unpacked(folder)
        python = environment(folder)
        codes = [run(python, suite, url, given.pytest_options) for url in ([""] if given.stock else named)]
    return next((code for code in codes if code), 0)


def unpacked(folder: Path) -> Path:
    """Download the source distribution of the installed LangGraph and take its tests out; its code stays unused."""
    name = f"langgraph=={version('langgraph')}"
    pip = ["uv", "run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    download = [*pip, "download", "--quiet", "--no-deps", "--no-binary", "langgraph", "--dest", str(folder), name]
    subprocess.run(download, check=True, cwd=folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        top = opened.getnames()[0].split("/")[0]
        wanted = [one for one in opened.getmembers() if one.name.startswith((f"{top}/tests/", f"{top}/pyproject.toml"))]
        opened.extractall(folder, members=wanted, filter="data")
    return folder / top


def environment(folder: Path) -> Path:
    """Make an environment that has what we need, what the tests need, and the versions that are installed here."""
    held = folder / "versions.txt"
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    installed = {found.metadata["Name"]: found.version for found in distributions()}
    held.write_text("".join(f"{name}=={number}\n" for name, number in installed.items() if name != ours))
    python = folder / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", str(python), "--constraints", str(held), *NEEDED]
    subprocess.run([*install, "-r", str(ROOT / "pyproject.toml"), "--extra", "postgres"], check=True)
    return python


def run(python: Path, suite: Path, url: str, options: list[str]) -> int:
    """Run the tests on one database, and say beforehand which are left out."""
    files = [path for path in sorted(suite.glob("tests/test_*.py")) if ASKS_FOR_A_SAVER.search(path.read_text())]
    left_out = KNOWN_UPSTREAM | NOT_OURS if url else {}
    print(f"\nLangGraph {version('langgraph')}, {len(files)} files, on {url or 'its own savers'}", flush=True)
    for name, reason in left_out.items():
        print(f"  left out: {name}: {reason}", flush=True)
    if url and not KNOWN_UPSTREAM:
        print("  no test is known to fail on LangGraph's own savers", flush=True)
    command = [str(python), "-m", "pytest", "-p", "plugin", "-o", "addopts=", "--strict-markers", "-q", "--no-header"]
    command += ["--tb=short", "-rfE", "--snapshot-warn-unused", "-p", "no:cacheprovider"]
    command += [f"--deselect={name}" for name in left_out]
    surroundings = os.environ | {
        "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}",
        "NO_DOCKER": "true",
        "LANGGRAPH_STRICT_MSGPACK": "true",  # LangGraph then names the types of a graph's state to the saver
        "FLOWLEDGER_UPSTREAM_DATABASE": url,
    }
    paths = [str(path.relative_to(suite)) for path in files]
    return subprocess.run([*command, *options, *paths], cwd=suite, env=surroundings, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
