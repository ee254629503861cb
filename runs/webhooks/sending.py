"""What run control asks of those who speak HTTP: which addresses may be called, and the call."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field

from bridge import Section
from runs.models import RunRecord
from runs.settings import Seconds


class DeliverySettings(Section):
    """How often a webhook is called, and how long it is tried."""

    max_attempts: int = Field(10, ge=1, le=1000, description="calls per run; then it has failed")
    backoff_s: Seconds = Field(2.0, description="before the second call; doubled with each further")
    max_backoff_s: Seconds = Field(300.0, description="the longest pause between two calls")
    max_concurrent: int = Field(16, ge=1, le=1000, description="calls of one gateway at one time")
    lease_s: Seconds = Field(
        30.0, description="silence after which another gateway repeats a call; above timeout_s"
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook is told.

    Attributes:
        run: The run as it ended, without its input.
        values: Its final values; ``None`` when it has none.
        has_lost_values: Whether it had values that left log and archive before this call.
        attempt: The number of this call.
    """

    run: RunRecord
    values: Any
    has_lost_values: bool
    attempt: int


class WebhookSendError(Exception):
    """A call failed; the receiver may have got it all the same.

    ``is_final`` says that a repeat cannot help. The text must not show the address.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class WebhookPolicy(Protocol):
    """Says which addresses may be called."""

    async def check(self, url: str) -> None:
        """Return when ``url`` may be called, as far as that is known before the call.

        Raises:
            WebhookRefusedError: It must not.
        """


class WebhookSender(Protocol):
    """Calls webhooks."""

    async def send(self, url: str, notice: Notice) -> None:
        """Call once, and return when the receiver took it.

        Raises:
            WebhookSendError: It did not, or it must not be called.
        """
