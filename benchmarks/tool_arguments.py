"""Measure the check of tool arguments on the multi-turn cases of BFCL: expected calls pass, spoilt ones are refused.

Each function becomes a tool with the schema that the benchmark gives it, closed against further parameters. A call is
spoilt in every way that there is: a value of the wrong type, a parameter left out, one that the tool has not.

    uv run python benchmarks/tool_arguments.py --json
"""

import argparse
import ast
import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from langchain_core.tools import StructuredTool

from engine.definition.tool import ToolSignature, signature_of
from engine.errors import ToolFailed

DEFAULT_DATA = ROOT.parent / "shared" / "data" / "evaluation"
JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array"}


@dataclass
class Counts:
    """How many calls passed the check, of how many."""

    passed: int = 0
    calls: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def add(self, signature: ToolSignature, arguments: Mapping[str, Any], *, fits: bool) -> None:
        """Check one call."""
        try:
            signature.check(arguments)
        except ToolFailed as error:
            passes, said = False, str(error)
        else:
            passes, said = True, "it passed"
        self.calls += 1
        self.passed += passes
        if passes != fits:
            self.wrong.append(f"{signature.name}({json.dumps(arguments)}): {said}")


def main() -> None:
    args = _arguments()
    if not (args.data / "dev" / "tools_bfcl_multi_turn.jsonl.gz").is_file():
        print(f"There is no evaluation data in {args.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    measured = measure(args.data)
    if args.json:
        print(json.dumps({kind: asdict(counts) for kind, counts in measured.items()}, indent=2))
        return
    for kind, counts in measured.items():
        print(f"{kind:<24}{counts.passed:>6} of {counts.calls} passed")
        for wrong in counts.wrong:
            print(f"  not as it should be: {wrong}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with dev/ and corpora/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure(data: Path) -> dict[str, Counts]:
    """Check every expected call, and every way to spoil it."""
    tools = {row["name"]: signature_of(tool_of(row)) for row in _rows(data / "corpora" / "bfcl_multi_turn_functions")}
    measured = {"expected": Counts()}
    for row in _rows(data / "dev" / "tools_bfcl_multi_turn"):
        for text in (call for turn in row["expected_calls"] for call in turn):
            name, arguments = call_in(text, tools)
            measured["expected"].add(tools[name], arguments, fits=True)
            for kind, spoilt in spoilt_ones(tools[name], arguments):
                measured.setdefault(kind, Counts()).add(tools[name], spoilt, fits=False)
    return measured


def tool_of(function: Mapping[str, Any]) -> StructuredTool:
    """Make a tool of a function's schema, which takes no parameters but its own."""

    def act(**arguments: Any) -> Any:
        return arguments

    schema = {**_as_json_schema(function["parameters"]), "additionalProperties": False}
    return StructuredTool.from_function(
        func=act, name=function["name"], description=function["description"], args_schema=schema
    )


def _as_json_schema(schema: Any) -> Any:
    """Bring the types, which are named as in Python, into the words of JSON Schema."""
    if isinstance(schema, list):
        return [_as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _as_json_schema(part) for name, part in schema.items()}
    kind = plain.get("type")
    return {**plain, "type": JSON_TYPES.get(kind, kind)} if isinstance(kind, str) else plain


def call_in(text: str, tools: Mapping[str, ToolSignature]) -> tuple[str, dict[str, Any]]:
    """Read a call as it is written in Python; values without a name go by the order of the parameters."""
    call = ast.parse(text, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(f"not a call: {text}")
    names = tools[call.func.id].types
    arguments = {name: ast.literal_eval(value) for name, value in zip(names, call.args, strict=False)}
    return call.func.id, arguments | {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}


def spoilt_ones(signature: ToolSignature, arguments: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every way to spoil a call, one fault at a time."""
    properties = signature.parameters["properties"]
    for name in arguments:
        takes_text = properties[name]["type"] == "string"
        yield "of the wrong type", {**arguments, name: 17 if takes_text else "seventeen"}
        if name in signature.required:
            yield "left out", {key: value for key, value in arguments.items() if key != name}
    yield "unknown", {**arguments, "another": 1}


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path.with_name(f"{path.name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
