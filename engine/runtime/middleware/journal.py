"""Journal: a call that had finished is answered from its record, so a step that runs again pays nothing twice."""

from dataclasses import dataclass, field

from engine.runtime.run import Answer, Call, CallNext


@dataclass(slots=True)
class RunJournal:
    """The finished calls of one run, in this process."""

    _answers: dict[tuple[str, int, str], Answer] = field(default_factory=dict[tuple[str, int, str], Answer])

    def recall(self, step_id: str, ordinal: int, request_hash: str) -> Answer | None:
        """Give the answer of a call that had finished."""
        return self._answers.get((step_id, ordinal, request_hash))

    def note(self, step_id: str, ordinal: int, request_hash: str, answer: Answer) -> None:
        """Keep the answer of a finished call."""
        self._answers[step_id, ordinal, request_hash] = answer


async def journal(call: Call, call_next: CallNext) -> Answer:
    """Answer from the journal, or make the call and note its answer."""
    entries, step_id = call.run.journal, call.step.record.step_id
    recalled = entries.recall(step_id, call.ordinal, call.request_hash)
    if recalled is not None:
        return recalled
    answer = await call_next(call)
    entries.note(step_id, call.ordinal, call.request_hash, answer)
    return answer
