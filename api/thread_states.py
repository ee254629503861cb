"""The routes of a thread's state: the newest, at a checkpoint, its history, and changing it.

The state of a graph's thread is known to its workers alone; they are asked, and what they answer is
passed on. The state of a function's thread is what its last successful run returned.
"""

from typing import Any

from aiohttp import web

from api.answer_schemas import StateShown, StateUpdated
from api.answers import json_answer, ready_answer
from api.expected_errors import CHANGING_STATES, READING_STATES
from api.identity import user_of
from api.operations import Answer, operation
from api.parameters import SELECT
from api.shapes import state_shape
from api.state_schemas import HistoryPage, HistoryQuery, StateAt, StateQuery, StateUpdate
from api.stream_modes import split_list
from api.threads import thread_of
from runs import CheckpointNotFoundError, GraphStates, RunsFacade
from runs.fields import selected


class ThreadStateRoutes:
    """Shows and changes the state of threads."""

    def __init__(self, facade: RunsFacade, graphs: GraphStates) -> None:
        self._facade = facade
        self._graphs = graphs

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of states."""
        state = "/threads/{thread_id}/state"
        return [
            web.get(state, self.state),
            web.post(state, self.update),
            web.post(f"{state}/checkpoint", self.state_at),
            web.get(f"{state}/{{checkpoint_id}}", self.state_by_id),
            web.get("/threads/{thread_id}/history", self.history_by_query),
            web.post("/threads/{thread_id}/history", self.history),
        ]

    @operation(Answer(StateShown), raises=READING_STATES, parameters=(SELECT,))
    async def state(self, request: web.Request, query: StateQuery) -> web.Response:
        """``GET /threads/{thread_id}/state``: the newest state."""
        return await self._state(request, {}, _selected_by(request), subgraphs=query.subgraphs)

    @operation(Answer(StateShown), raises=READING_STATES, parameters=(SELECT,))
    async def state_by_id(self, request: web.Request, query: StateQuery) -> web.Response:
        """``GET /threads/{thread_id}/state/{checkpoint_id}``: the state at a checkpoint."""
        place = {"checkpoint_id": request.match_info["checkpoint_id"]}
        return await self._state(request, place, _selected_by(request), subgraphs=query.subgraphs)

    @operation(Answer(StateShown), raises=READING_STATES)
    async def state_at(self, request: web.Request, body: StateAt) -> web.Response:
        """``POST /threads/{thread_id}/state/checkpoint``: the state at one, a subgraph's, too."""
        return await self._state(request, body.checkpoint, body.select, subgraphs=body.subgraphs)

    async def _state(
        self,
        request: web.Request,
        checkpoint: dict[str, Any],
        select: tuple[str, ...] | None,
        *,
        subgraphs: bool,
    ) -> web.Response:
        user_id = user_of(request)
        thread = await self._facade.get_thread(thread_of(request), user_id=user_id)
        graph = self._graphs.graph_of(thread)
        if graph is not None:
            return ready_answer(
                await self._graphs.ask(
                    thread,
                    graph,
                    wants="state",
                    checkpoint=checkpoint,
                    subgraphs=subgraphs,
                    select=select,
                )
            )
        state = await self._facade.thread_state(thread.thread_id, user_id=user_id)
        if checkpoint.get("checkpoint_id") not in (None, state.event_id):
            raise CheckpointNotFoundError(thread.thread_id, str(checkpoint["checkpoint_id"])[:256])
        return json_answer(selected(state_shape(state), select))

    @operation(Answer(StateUpdated), raises=CHANGING_STATES)
    async def update(self, request: web.Request, body: StateUpdate) -> web.Response:
        """``POST /threads/{thread_id}/state``: change it as if a node had returned values."""
        thread_id = thread_of(request)
        answer = await self._graphs.update(
            thread_id,
            body.values,
            as_node=body.as_node,
            checkpoint=body.place,
            user_id=user_of(request),
        )
        return ready_answer(answer)

    @operation(Answer(list[StateShown]), raises=READING_STATES)
    async def history(self, request: web.Request, body: HistoryQuery) -> web.Response:
        """``POST /threads/{thread_id}/history``: states, the newest first."""
        return await self._history(request, body)

    @operation(Answer(list[StateShown]), raises=READING_STATES)
    async def history_by_query(self, request: web.Request, query: HistoryPage) -> web.Response:
        """``GET /threads/{thread_id}/history``: states, the newest first."""
        return await self._history(request, HistoryQuery(limit=query.limit, before=query.before))

    async def _history(self, request: web.Request, query: HistoryQuery) -> web.Response:
        user_id = user_of(request)
        thread = await self._facade.get_thread(thread_of(request), user_id=user_id)
        graph = self._graphs.graph_of(thread)
        if graph is not None:
            answer = await self._graphs.ask(
                thread,
                graph,
                wants="history",
                checkpoint=query.checkpoint or {},
                limit=query.limit,
                before=query.place_before,
                metadata=query.metadata,
                select=query.select,
            )
            return ready_answer(answer)
        query.refuse("before", "checkpoint", "metadata")
        state = await self._facade.thread_state(thread.thread_id, user_id=user_id)
        is_there = state.values is not None or state.thread.question is not None
        return json_answer([selected(state_shape(state), query.select)] if is_there else [])


def _selected_by(request: web.Request) -> tuple[str, ...] | None:
    return tuple(split_list("select", request.query.getall("select", []))) or None
