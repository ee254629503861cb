"""The routes of assistants that clients make, change and remove; declared ones stay as they are."""

from typing import Final

from aiohttp import web

from api.answers import done, json_answer
from api.assistant_schemas import (
    AssistantCreate,
    AssistantDelete,
    AssistantPatch,
    VersionChoice,
    VersionSearch,
)
from api.identity import user_of
from api.request_bodies import read_body, read_query
from api.shapes import assistant_shape, made_assistant_shape
from api.unattended import UnattendedWork
from runs import AssistantBook, RunQuery, RunsFacade

_ONE: Final = "/assistants/{assistant_id}"
#: Runs that are looked at together when the threads of an assistant are deleted.
_PAGE: Final = 100


class MadeAssistantRoutes:
    """Keeps assistants for their users.

    Args:
        book: Has them.
        facade: Deletes the threads of one that is removed.
        unattended: What goes on when a client leaves.
    """

    def __init__(self, book: AssistantBook, facade: RunsFacade, unattended: UnattendedWork) -> None:
        self._book = book
        self._facade = facade
        self._unattended = unattended

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of making assistants."""
        return [
            web.post("/assistants", self.create),
            web.patch(_ONE, self.update),
            web.delete(_ONE, self.delete),
            web.post(f"{_ONE}/versions", self.versions),
            web.post(f"{_ONE}/latest", self.set_latest),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /assistants``."""
        body = await read_body(request, AssistantCreate)
        made = await self._book.create(
            body.first(),
            assistant_id=body.assistant_id,
            user_id=user_of(request),
            may_exist=body.if_exists == "do_nothing",
        )
        return json_answer(made_assistant_shape(made))

    async def update(self, request: web.Request) -> web.Response:
        """``PATCH /assistants/{assistant_id}``: one more version, which new runs take."""
        body = await read_body(request, AssistantPatch)
        changed = await self._book.update(
            assistant_of(request), body.changes(), user_id=user_of(request)
        )
        return json_answer(made_assistant_shape(changed))

    async def set_latest(self, request: web.Request) -> web.Response:
        """``POST .../latest``: new runs take another version."""
        choice = await read_body(request, VersionChoice)
        changed = await self._book.set_latest(
            assistant_of(request), choice.version, user_id=user_of(request)
        )
        return json_answer(made_assistant_shape(changed))

    async def versions(self, request: web.Request) -> web.Response:
        """``POST .../versions``, the newest first; a declared assistant has one."""
        wanted = await read_body(request, VersionSearch)
        chosen = await self._book.choose(assistant_of(request), user_id=user_of(request))
        made = chosen.made
        if made is None:
            shown = [assistant_shape(chosen.assistant)]
        else:
            shown = [made_assistant_shape(made, each) for each in reversed(made.versions)]
        asked = (wanted.metadata or {}).items()
        fitting = [each for each in shown if asked <= each["metadata"].items()]
        return json_answer(fitting[wanted.offset : wanted.offset + wanted.limit])

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /assistants/{assistant_id}``; goes on when the client leaves."""
        query = read_query(request, AssistantDelete)
        assistant_id, user_id = assistant_of(request), user_of(request)
        deletion = self._delete(assistant_id, user_id, with_threads=query.delete_threads)
        await self._unattended.finish(deletion, "delete assistant")
        return done()

    async def _delete(self, assistant_id: str, user_id: str | None, *, with_threads: bool) -> None:
        await self._book.delete(assistant_id, user_id=user_id)
        wanted = RunQuery(assistant=assistant_id, user_id=user_id)
        deleted: set[str] = set()
        while with_threads:
            found = await self._facade.search_runs(wanted, limit=_PAGE)
            threads = {run.thread_id for run in found.runs} - deleted
            if not threads:
                return
            for thread_id in threads:
                await self._facade.delete_thread(thread_id, user_id=user_id)
            deleted |= threads


def assistant_of(request: web.Request) -> str:
    """Return the name or id of the assistant that a request's path names."""
    return request.match_info["assistant_id"][:256]
