"""What a worker pulls from a work-queue of NATS JetStream: hints for which it has room."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.ports import Ear, Hint

if TYPE_CHECKING:  # nats-py is an extra
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

_ACK_SECONDS = 10.0  # after which a hint that nobody acknowledged goes to another worker
_PULL_SECONDS = 20.0  # for which a worker waits in one request
_ANSWER_SECONDS = 2.0
_AT_ONCE = 64  # hints that one look may answer
_ELSEWHERE_SECONDS = 0.05  # after which a hint for another version of a workflow is given to somebody
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

    async def serve(self, ear: Ear) -> None:
        """Have a worker look for what comes, whenever it has room."""
        while True:
            room = await ear.room()
            messages = await self._ask(1, _PULL_SECONDS, expires=int(_PULL_SECONDS * 1e9))
            if messages:
                messages += await self._ask(min(room, _AT_ONCE), 0.0, no_wait=True)
            may_take = [_may_take(ear, message) for message in messages]
            has_looked = any(may_take) and await ear.look()
            for message, is_mine in zip(messages, may_take, strict=True):
                if is_mine and has_looked:
                    await message.ack()
                else:
                    await message.nak(delay=None if is_mine else _ELSEWHERE_SECONDS)

    async def _ask(self, most: int, seconds: float, **how: Any) -> "list[Msg]":
        """Give up to so many messages: those that come until the server says that these are all."""
        from nats.js.client import JetStreamContext

        await self.client.publish(self.subject, json.dumps({"batch": most, **how}).encode(), self.inbox.subject)
        found: list[Msg] = []
        while len(found) < most:
            message = await self.inbox.next_msg(seconds + _ANSWER_SECONDS)
            status = JetStreamContext.is_status_msg(message)
            if status is None:
                found.append(message)
            elif status in {"404", "408"}:  # no more are there, or none came in time
                break
            else:
                raise ConnectionError(f"the server refused with {status}")
        return found


def _may_take(ear: Ear, message: "Msg") -> bool:
    try:
        return ear.takes(Hint(**json.loads(message.data)))
    except (ValueError, TypeError):  # somebody else's: looking costs little
        return True
