"""Core subscriptions that the server certainly knows of."""

from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bridge.connection import Connection
from bridge.replies import SilenceError


async def listen_surely(
    connection: Connection, subject: str, handle: Callable[[Msg], None]
) -> Subscription:
    """Subscribe a core subject and return once the server has it.

    Args:
        connection: An open connection.
        subject: May hold wildcards.
        handle: Must neither wait nor raise; see :meth:`Connection.listen`.

    Raises:
        UnavailableError: It did not answer within the outage budget.
    """
    outage = connection.outage(f"subscribing {subject}")
    subscription = await connection.listen(subject, handle)
    while True:
        try:
            await connection.flush()
        except SilenceError:
            await outage.wait()
        else:
            return subscription
