"""The order of things, on one screen: what surrounds a step and what surrounds a call, outermost first."""

from engine.runtime.middleware.admission import admission
from engine.runtime.middleware.approve import approve
from engine.runtime.middleware.ask_again import ask_again
from engine.runtime.middleware.breaker import breaker
from engine.runtime.middleware.budget import budget
from engine.runtime.middleware.cache import cache
from engine.runtime.middleware.check_update import check_update
from engine.runtime.middleware.deadline import deadline
from engine.runtime.middleware.degrade import skip_when_low
from engine.runtime.middleware.effect import effect
from engine.runtime.middleware.fall_back import (
    fall_back_to_canned,
    fall_back_to_node,
    fall_back_to_target,
    go_on_without,
)
from engine.runtime.middleware.from_tape import from_tape
from engine.runtime.middleware.guard import guard_input, guard_output
from engine.runtime.middleware.hedge import hedge
from engine.runtime.middleware.journal import journal
from engine.runtime.middleware.meter import meter
from engine.runtime.middleware.record import record
from engine.runtime.middleware.retry import retry
from engine.runtime.middleware.route import route
from engine.runtime.middleware.time_out import time_out

STEP_STACK = (
    record,  # every visit is written down, whatever happens inside
    go_on_without,  # an optional way that fails goes on to its join, whatever failed
    route,  # which node follows is a fact of the step, so its errors are too
    skip_when_low,  # inside the route, which goes on from what is there
    fall_back_to_canned,  # the last resort: what the definition says for the worst case
    fall_back_to_node,  # another node takes over when all inside has failed
    guard_input,  # inside the fallback, and its refusal is not recoverable: no way around a guardrail
    cache,  # inside the guard: what is looked up has been guarded
    deadline,  # over every attempt and every re-ask
    ask_again,  # a rejected answer is asked for again, with the reason
    guard_output,  # sees what would be written
    check_update,  # what is written fits the state
)

CALL_STACK = (
    approve,  # a person sees the exact action first; outside the journal, so that each action has a question of its own
    journal,  # a finished call is never made twice
    fall_back_to_target,  # the next model of the role, once the retries of this one are used up
    retry,  # what follows happens once an attempt
    effect,  # an action that may have been done is probed before it is tried again
    from_tape,  # in a replay what was recorded passes the meter only; what follows is for what is really sent
    hedge,  # what follows happens in each of two attempts side by side, so both are charged, admitted and written down
    budget,  # reserves the most that the attempt can spend, settles what it spent
    admission,  # waits for room in the rate limits; outside the breaker, which judges a call when its turn has come
    breaker,  # a target that keeps failing is left alone
    meter,  # writes the attempt down, before it is sent where it spends or acts: time, tokens, cost, error
    time_out,  # inside the meter, so that a time-out is an error with a duration
)

INSIDE_STACK = (  # for a model that a runnable asks by itself: it can be refused and counted, not asked anew
    budget,
    admission,
    meter,
)
