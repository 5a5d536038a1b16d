"""flowledger serve: the HTTP API of an app."""

import asyncio
from importlib.util import find_spec
from typing import Annotated

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, within
from engine.cli.render import errors
from engine.errors import ConfigurationError
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.worker import Worker


def serve(
    host: Annotated[str, typer.Option(help="The address; others than this machine's need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Work on queued runs in this process, too.")
    ] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Runs in progress at once here.")] = 16,
    queues: Annotated[str, typer.Option(help="The queues its worker takes from, with commas.")] = DEFAULT_QUEUE,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Serve the HTTP API: queue runs, follow them, answer what they ask, see what they cost.

    SIGTERM or Ctrl-C finishes the requests in progress, ends streams, whose readers come back by their last event, and
    drains the worker. A second one stops at once.

    Example: flowledger serve --with-worker
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise ConfigurationError("the HTTP API needs the extra `server`: pip install 'flowledger[server]'")
    from engine.server.serve import Serving

    loaded = load_app(app, database)
    names = [name.strip() for name in queues.split(",") if name.strip()] or [DEFAULT_QUEUE]
    worker = Worker(loaded, concurrency=concurrency, queues=names, heard=True) if with_worker else None
    serving = Serving(loaded, host=host, port=port, worker=worker, on_start=_say_where, on_stop=_say_end)
    asyncio.run(within(loaded, serving.run))


def _say_where(address: str, token: str | None) -> None:
    errors.print(f"serving on {address}/v1, described by {address}/openapi.json", soft_wrap=True, markup=False)
    if token is not None:
        errors.print(f"the token of this session: {token}", soft_wrap=True, markup=False)


def _say_end() -> None:
    errors.print("[dim]finishing what is in progress; once more to stop at once[/dim]")
