"""What a worker pulls from a work-queue of NATS JetStream: hints for which it has room."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.ports import Ear, Hint

if TYPE_CHECKING:  # nats-py is an extra
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

_ACK_SECONDS = 10.0  # after which a hint that nobody acknowledged goes to another worker
_PULL_SECONDS = 20.0  # for which a worker waits in one request
_ANSWER_SECONDS = 2.0
_AT_ONCE = 16  # hints that a worker asks for
_ELSEWHERE_SECONDS = 0.1  # within which a hint that a worker has no room or no version for is given to somebody else
_OVER = frozenset({"404", "408"})  # nothing more comes for what was asked
_MOST_DELIVERIES = 20


@dataclass(frozen=True, slots=True)
class Pull:
    """Asks for the hints of one queue, which all workers that take from it share.

    It speaks to the server itself, since `fetch` of nats-py waits until it has as many messages as it may have.
    """

    client: "Client"
    subject: str
    inbox: "Subscription"

    @classmethod
    async def begin(cls, client: "Client", stream: str, subject: str, name: str) -> "Pull":
        """Join those who pull what is published under a subject; `name` is the same for all of them."""
        from nats.js.api import AckPolicy, ConsumerConfig

        config = ConsumerConfig(
            durable_name=name,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=_ACK_SECONDS,
            max_deliver=_MOST_DELIVERIES,
        )
        await client.jetstream(timeout=_ANSWER_SECONDS).add_consumer(stream, config)
        inbox = await client.subscribe(client.new_inbox())
        return cls(client, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", inbox)

    async def serve(self, ear: Ear, chance: Callable[[], float]) -> None:
        """Have a worker look for what comes, as long as it has room.

        Hints for others go back after a time left to chance; else two workers might hand each other's back in step.
        """
        owed = 0  # hints that the server may still send of those that it was asked for
        while True:
            if not owed:
                owed = await self._ask(min(await ear.room(), _AT_ONCE))
            messages, owed = await self._heard(owed)
            may_take = [_may_take(ear, message) for message in messages]
            has_looked = any(may_take) and await ear.look()
            for message, is_mine in zip(messages, may_take, strict=True):
                if is_mine and has_looked:
                    await message.ack()
                else:
                    await message.nak(delay=_ELSEWHERE_SECONDS * chance())

    async def _ask(self, most: int) -> int:
        wanted = {"batch": most, "expires": int(_PULL_SECONDS * 1e9)}
        await self.client.publish(self.subject, json.dumps(wanted).encode(), self.inbox.subject)
        return most

    async def _heard(self, owed: int) -> "tuple[list[Msg], int]":
        """Wait for a hint, and give all that have come by then, and how many may follow; none if time is over."""
        from nats.js.client import JetStreamContext

        found: list[Msg] = []
        while not found or self.inbox.pending_msgs:
            message = await self.inbox.next_msg(_PULL_SECONDS + _ANSWER_SECONDS)
            status = JetStreamContext.is_status_msg(message)
            if status is None:
                found.append(message)
            elif status in _OVER:
                return found, 0
            else:
                raise ConnectionError(f"the server refused with {status}")
        return found, max(owed - len(found), 0)


def _may_take(ear: Ear, message: "Msg") -> bool:
    try:
        return ear.takes(Hint(**json.loads(message.data)))
    except (ValueError, TypeError):  # somebody else's: looking costs little
        return True
