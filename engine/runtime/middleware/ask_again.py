"""Ask again: an answer that a schema or guardrail turned down is asked for again, with the reason."""

from collections.abc import Mapping
from typing import Any

from engine.errors import AnswerRejected
from engine.runtime.run import Step, StepNext


async def ask_again(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Run the node again with the reasons so far, up to `reasks` times."""
    while True:
        try:
            return await call_next(step)
        except AnswerRejected as error:
            if len(step.feedback) >= step.node.reasks:
                times = len(step.feedback) + 1
                raise AnswerRejected(
                    f"the node {step.name!r} was answered {times} times and turned down each time: {error}"
                ) from error
            step.feedback.append(str(error))
            step.unsay()
