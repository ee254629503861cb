"""Counts what limits refuse, by the code that the refusal has."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.problems import PROBLEM_CODE
from bridge import counter_by

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


class Refusals(Collector):
    """What the limits of one gateway have refused."""

    def __init__(self) -> None:
        # All of them from the start: a rate needs the zero before the first refusal.
        self._counts = Counter(dict.fromkeys(LIMITS, 0))

    def note(self, code: str) -> None:
        """Count a refusal; a code that belongs to no limit counts nothing."""
        if code in self._counts:
            self._counts[code] += 1

    async def note_answer(self, _: web.Request, response: web.StreamResponse) -> None:
        """Count an answer that begins, if it is a refusal."""
        self.note(response.get(PROBLEM_CODE, ""))

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield counter_by(
            "jetrun_http_refused",
            "Requests, streams and connections that a limit refused",
            "limit",
            self._counts,
        )


#: Where the refusals of an application are counted.
REFUSALS: Final = web.AppKey("refusals", Refusals)
