"""Finds the app that a command works on, by its import path."""

import importlib
import sys
import tomllib
from pathlib import Path
from traceback import extract_tb
from typing import Any

from engine.app import App
from engine.errors import ConfigurationError, EngineError

DEFAULT_APP = "workflows.app:app"


def load_app(path: str | None, database: str | None = None, dispatcher: str | None = None) -> App:
    """Import the app, and point it at another database or dispatcher where one is given.

    Raises:
        ConfigurationError: the path is malformed, cannot be imported, or names no App.
        DefinitionError: a workflow of the app is not valid.
    """
    chosen = path or _from_pyproject() or DEFAULT_APP
    module_name, _, name = chosen.partition(":")
    if not module_name or not name:
        raise ConfigurationError(f"--app {chosen!r}: write module:name, as in {DEFAULT_APP}")
    if "" not in sys.path:
        sys.path.insert(0, "")  # an app beside the caller is found, installed or not
    found = getattr(_import(module_name, chosen), name, None)
    if not isinstance(found, App):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise ConfigurationError(f"--app {chosen}: {what} stands there, and an App is expected")
    if database:
        found.database = database
    if dispatcher:
        found.dispatcher = dispatcher
    return found


def _import(module_name: str, chosen: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except EngineError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--app {chosen}: the module {error.name!r} is not found from {Path.cwd()}: go to the project's folder, "
            "install what is missing, or name another app"
        ) from error
    except Exception as error:
        last = extract_tb(error.__traceback__)[-1]
        raise ConfigurationError(
            f"--app {chosen}: importing it failed at {last.filename}:{last.lineno}: {type(error).__name__}: {error}"
        ) from error


def _from_pyproject() -> str | None:
    file = Path("pyproject.toml")
    if not file.is_file():
        return None
    try:
        tools: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"pyproject.toml cannot be read: {error}") from error
    app = tools.get("flowledger", {}).get("app")
    return None if app is None else str(app)
