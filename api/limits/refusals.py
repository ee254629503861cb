"""Counts what limits refuse, by the code that the refusal has."""

from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from api.problems import PROBLEM

#: Clients that are cut off because they read nothing; they can be told nothing.
STALLED_READER: Final = "stalled-reader"

#: The limits, by the codes of their refusals: the only values of the counter's label.
LIMITS: Final = (
    "batch-too-large",
    "body-too-large",
    "checkpoint-too-large",
    "consumer-limit",
    "event-too-large",
    "headers-too-large",
    "input-too-large",
    "item-too-large",
    "json-too-deep",
    "malformed-request",
    "overloaded",
    "queue-full",
    "request-timeout",
    STALLED_READER,
    "stream-capacity-exceeded",
    "too-many-address-connections",
    "too-many-bodies",
    "too-many-connections",
    "too-many-crons",
    "too-many-events",
    "too-many-runs",
    "too-many-streams",
    "too-many-user-streams",
    "unsupported-encoding",
    "url-too-long",
)


class Refusals:
    """What the limits of one gateway have refused.

    Args:
        registry: Shows the counter.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(
            "jetrun_gateway_refused",
            "Requests, streams and connections that a limit refused",
            ["limit"],
            registry=registry,
        )
        # All of them from the start: a rate needs the zero before the first refusal.
        self._counts = {code: counter.labels(code) for code in LIMITS}

    def note(self, code: str) -> None:
        """Count a refusal; a code that belongs to no limit counts nothing."""
        count = self._counts.get(code)
        if count is not None:
            count.inc()

    async def note_answer(self, _: web.Request, response: web.StreamResponse) -> None:
        """Count an answer that begins, if it is a refusal."""
        code = response.get(PROBLEM)
        if code is not None:
            self.note(code)


#: Where the refusals of an application are counted.
REFUSALS: Final = web.AppKey("refusals", Refusals)
