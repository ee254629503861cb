"""The routes that read what runs have emitted: pages of records, and a run's file as it is."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web

from api.answer_schemas import RecordPage, TiersShown
from api.answers import json_answer
from api.errors import InvalidRequestError
from api.file_ranges import LINES, serve_lines
from api.identity import user_of
from api.operations import Answer, operation
from api.parameters import EVENT_TYPE, RANGE
from api.run_watching import run_of
from api.schemas import EventQuery, RecordQuery
from api.threads import thread_of
from runs import RunsFacade
from store import InvalidPageError, JetStreamRunEventStore, Record, RunNotArchivedError
from store.layout import ArchiveLayout
from store.run_forms import open_run

#: Reads one page: before_seq, after_seq, limit.
_ReadPage = Callable[[int | None, int | None, int], Awaitable[list[Record]]]

_LINES: Final = Answer(media_type=LINES, headers={"Accept-Ranges": "Always `bytes`."})
_SOME_LINES: Final = Answer(
    status=HTTPStatus.PARTIAL_CONTENT,
    media_type=LINES,
    headers={"Content-Range": "Which bytes these are."},
)


class ArchiveRoutes:
    """Lists records and hands out files.

    Args:
        facade: Knows which threads and runs there are.
        store: Reads log and archive as one, and tells them apart.
        layout: Where the files are.
    """

    def __init__(
        self, facade: RunsFacade, store: JetStreamRunEventStore, layout: ArchiveLayout
    ) -> None:
        self._facade = facade
        self._store = store
        self._layout = layout

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of the archive."""
        run = "/threads/{thread_id}/runs/{run_id}"
        return [
            web.get(f"{run}/events", self.events),
            web.get(f"{run}/messages", self.run_messages),
            web.get(f"{run}/events.jsonl", self.download),
            web.get(f"{run}/archive", self.tiers),
            web.get("/threads/{thread_id}/messages", self.thread_messages),
        ]

    @operation(Answer(RecordPage), raises=(InvalidPageError,), parameters=(EVENT_TYPE,))
    async def events(self, request: web.Request, query: EventQuery) -> web.Response:
        """``GET .../events``: a run's records of all categories, from the first one on."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        types, category = _event_types(request), query.category
        if query.before_seq is None and query.after_seq is None:
            query = query.model_copy(update={"after_seq": 0})
        read = partial(self._store.list_events, *run, event_types=types, category=category)
        return await _answer(
            query,
            lambda before, after, limit: read(before_seq=before, after_seq=after, limit=limit),
        )

    @operation(Answer(RecordPage), raises=(InvalidPageError,))
    async def run_messages(self, request: web.Request, query: RecordQuery) -> web.Response:
        """``GET .../messages``: a run's messages, the latest ones unless a side is named."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        return await _answer(
            query,
            lambda before, after, limit: self._store.list_messages_by_run(
                *run, before_seq=before, after_seq=after, limit=limit
            ),
        )

    @operation(Answer(RecordPage), raises=(InvalidPageError,))
    async def thread_messages(self, request: web.Request, query: RecordQuery) -> web.Response:
        """``GET /threads/{thread_id}/messages``: the messages of all runs of a thread, likewise."""
        thread_id = thread_of(request)
        await self._facade.get_thread(thread_id, user_id=user_of(request))
        return await _answer(
            query,
            lambda before, after, limit: self._store.list_messages(
                thread_id, before_seq=before, after_seq=after, limit=limit
            ),
        )

    @operation(Answer(TiersShown))
    async def tiers(self, request: web.Request) -> web.Response:
        """``GET .../archive``: how much of the run the log holds, and how much the archive."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        tiers = await self._store.look_at_tiers(*run)
        return json_answer({**asdict(tiers), "behind": tiers.behind})

    @operation(_LINES, _SOME_LINES, raises=(RunNotArchivedError,), parameters=(RANGE,))
    async def download(self, request: web.Request) -> web.StreamResponse:
        """``GET .../events.jsonl``: the whole lines of a run's file, or some of their bytes."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        try:
            source = await asyncio.to_thread(open_run, self._layout, run)
        except FileNotFoundError:
            raise RunNotArchivedError(run.run_id) from None
        with closing(source):
            return await serve_lines(request, source, self._layout.run(run).name)


def _event_types(request: web.Request) -> frozenset[str] | None:
    given = [name for names in request.query.getall("event_type", []) for name in names.split(",")]
    if any(not name for name in given):
        raise InvalidRequestError("event_type: an empty name")
    return frozenset(given) or None


async def _answer(query: RecordQuery, read: _ReadPage) -> web.Response:
    page = await read(query.before_seq, query.after_seq, query.limit)
    has_more = False
    # A page can be full in bytes, too, so that its length does not tell.
    if page and query.after_seq is not None:
        has_more = bool(await read(None, page[-1].seq, 1))
    elif page:
        has_more = bool(await read(page[0].seq, None, 1))
    return json_answer({"data": [record.model_dump() for record in page], "has_more": has_more})
