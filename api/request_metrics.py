"""How many requests there were, how they were answered, and how soon."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.auth.permissions import route_of
from api.problems import PROBLEM_CODE
from bridge import Durations, counter_by

#: What requests are counted under that no route serves: their paths are the clients' own.
UNMATCHED: Final = "unmatched"
_BEGAN: Final = web.RequestKey[float]("began")


class RequestFigures(Collector):
    """Counts requests when their answers begin, so that streams count at their start.

    Labels are the templates of routes, never paths.
    """

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()
        self._problems: Counter[str] = Counter()
        self._durations: dict[str, Durations] = {}

    @property
    def middleware(self) -> Middleware:
        """What notes when a request began."""

        @web.middleware
        async def note_beginning(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[_BEGAN] = time.monotonic()
            return await handler(request)

        return note_beginning

    async def note_answer(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count a request whose answer begins."""
        is_known = request.match_info.route.resource is not None
        route = route_of(request) if is_known else UNMATCHED
        self._answers[route, response.status] += 1
        durations = self._durations.get(route)
        if durations is None:
            durations = self._durations[route] = Durations()
        # What aiohttp refuses before there is a handler began and ended at once.
        durations.add(time.monotonic() - request.get(_BEGAN, time.monotonic()))
        code = response.get(PROBLEM_CODE)
        if code is not None:
            self._problems[code] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        answers = CounterMetricFamily(
            "jetrun_http_requests", "Requests by route and status", labels=["route", "status"]
        )
        for (route, status), count in self._answers.items():
            answers.add_metric([route, str(status)], count)
        yield answers
        seconds = HistogramMetricFamily(
            "jetrun_http_answer_seconds", "Until an answer begins", labels=["route"]
        )
        for route, durations in self._durations.items():
            seconds.add_metric([route], durations.buckets(), durations.sum_s)
        yield seconds
        yield counter_by(
            "jetrun_http_problems", "Requests refused or failed, by code", "code", self._problems
        )
