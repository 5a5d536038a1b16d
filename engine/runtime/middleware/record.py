"""Record: every visit of a node becomes a row, whatever happens inside."""

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.errors import EngineError
from engine.runtime.classify import scrub
from engine.runtime.run import Step, StepNext
from engine.runtime.views import step_finished, step_started
from engine.usage import Amount

_ONE_STEP = Amount(steps=1)


async def record(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Time the step, keep what it read and wrote, and say how it ended."""
    run, row = step.run, step.record
    step.shared_account.spend(_ONE_STEP)
    run.record.steps += 1
    row.seq = run.next_seq()
    run.tell(step_started, row)
    began = run.clock.monotonic_ns()
    row.status = "interrupted"
    try:
        update = await call_next(step)
        if step.forced:
            update = {**step.forced, **update}
        row.update_payload = run.keep(update)
        row.goto = ", ".join(step.goto)
        row.status = "failed" if row.fallback_to else "ok"
        return update
    except asyncio.CancelledError:
        row.status = "cancelled"
        raise
    except EngineError as error:
        said = scrub(str(error))
        error.args = (said,)  # LangGraph keeps the error itself with the checkpoint
        row.status, row.error_type, row.error_message = "failed", type(error).__name__, said
        if run.failure is not error:  # what failed further inside says so itself
            run.failure, run.failed_node = error, step.name
        raise
    except run.control_flow:
        row.status = "waiting"
        raise
    finally:
        row.duration_ns = run.clock.monotonic_ns() - began
        row.input_payload = run.keep(step.inputs)
        row.end_seq = run.next_seq()
        if row.parent_step_id is None:
            run.outbox.steps[step.task_id] = row
        else:
            run.write((row,))
        run.tell(step_finished, row)
