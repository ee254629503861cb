"""The routes of assistants that clients make, change and remove; declared ones stay as they are."""

from typing import Final

from aiohttp import web

from api.answer_schemas import AssistantShown
from api.answers import done, json_answer
from api.assistant_schemas import (
    AssistantCreate,
    AssistantDelete,
    AssistantPatch,
    VersionChoice,
    VersionSearch,
)
from api.expected_errors import SEARCHING
from api.identity import user_of
from api.operations import DONE, Answer, operation
from api.shapes import assistant_shape, made_assistant_shape
from api.unattended import UnattendedWork
from bridge import InvalidIdError
from runs import (
    AssistantBook,
    AssistantDeclaredError,
    AssistantExistsError,
    AssistantNotFoundError,
    AssistantVersionNotFoundError,
    RunQuery,
    RunsFacade,
)

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

    @operation(
        Answer(AssistantShown),
        raises=(AssistantNotFoundError, AssistantExistsError, InvalidIdError),
    )
    async def create(self, request: web.Request, body: AssistantCreate) -> web.Response:
        """``POST /assistants``: make an assistant of a declared one."""
        made = await self._book.create(
            body.first(),
            assistant_id=body.assistant_id,
            user_id=user_of(request),
            may_exist=body.if_exists == "do_nothing",
        )
        return json_answer(made_assistant_shape(made))

    @operation(Answer(AssistantShown), raises=(AssistantDeclaredError,))
    async def update(self, request: web.Request, body: AssistantPatch) -> web.Response:
        """``PATCH /assistants/{assistant_id}``: make one more version, which new runs take."""
        changed = await self._book.update(
            assistant_of(request), body.changes(), user_id=user_of(request)
        )
        return json_answer(made_assistant_shape(changed))

    @operation(
        Answer(AssistantShown), raises=(AssistantDeclaredError, AssistantVersionNotFoundError)
    )
    async def set_latest(self, request: web.Request, body: VersionChoice) -> web.Response:
        """``POST .../latest``: let new runs take another version."""
        changed = await self._book.set_latest(
            assistant_of(request), body.version, user_id=user_of(request)
        )
        return json_answer(made_assistant_shape(changed))

    @operation(Answer(list[AssistantShown]))
    async def versions(self, request: web.Request, body: VersionSearch) -> web.Response:
        """``POST .../versions``: its versions, the newest first; a declared assistant has one."""
        chosen = await self._book.choose(assistant_of(request), user_id=user_of(request))
        made = chosen.made
        if made is None:
            shown = [assistant_shape(chosen.assistant)]
        else:
            shown = [made_assistant_shape(made, each) for each in reversed(made.versions)]
        asked = (body.metadata or {}).items()
        fitting = [each for each in shown if asked <= each["metadata"].items()]
        return json_answer(fitting[body.offset : body.offset + body.limit])

    @operation(DONE, raises=(AssistantDeclaredError, *SEARCHING))
    async def delete(self, request: web.Request, query: AssistantDelete) -> web.Response:
        """``DELETE /assistants/{assistant_id}``: remove an assistant."""
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
