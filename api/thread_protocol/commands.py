"""Carry out what clients of the thread protocol command: start a run, answer a question.

A command that is refused is answered by an error object with status 200, as the SDKs expect; what
keeps the gateway from answering at all is a problem document like everywhere.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from api.configurable_headers import with_headers
from api.errors import GatewayError, InvalidRequestError
from api.http_settings import HttpSettings
from api.questions import asked_in
from api.request_bodies import check
from api.schemas import MAX_NAME, Body, JsonObject, RunCreate
from bridge import BridgeError
from runs import (
    OutputsNotFoundError,
    RunNotFoundError,
    RunRecord,
    RunsError,
    RunsFacade,
    RunSpec,
    ThreadNotFoundError,
    ThreadRecord,
    ThreadStatus,
)

MAX_ANSWERS: Final = 256
#: Everything that the protocol has a channel for.
STREAM_MODES: Final = ("values", "updates", "messages-tuple", "custom", "tasks", "checkpoints")
#: The command that adds work.
START_RUN: Final = "run.start"
_NOT_SERVED: Final = frozenset(
    {
        "agent.getTree",
        "input.inject",
        "state.fork",
        "state.get",
        "state.listCheckpoints",
        "subscription.reconnect",
        "subscription.subscribe",
        "subscription.unsubscribe",
    }
)


class Command(Body):
    """The body of ``POST /threads/{thread_id}/commands``."""

    id: int = Field(ge=0)
    method: str = Field(max_length=MAX_NAME)
    params: JsonObject = Field(default_factory=dict)


class _Answer(Body):
    interrupt_id: str = Field(max_length=MAX_NAME)
    response: Any = None


class _Respond(Body):
    """The parameters of ``input.respond``: one answer, or several."""

    interrupt_id: str | None = Field(None, max_length=MAX_NAME)
    response: Any = None
    responses: Annotated[tuple[_Answer, ...], Field(max_length=MAX_ANSWERS)] = ()
    update: Any = None
    goto: Any = None
    config: JsonObject | None = None
    metadata: JsonObject | None = None

    @property
    def resume(self) -> dict[str, Any]:
        """What each question is answered with."""
        given = {each.interrupt_id: each.response for each in self.responses}
        return given if self.interrupt_id is None else {**given, self.interrupt_id: self.response}


class _RefusedError(Exception):
    """A command cannot be carried out; nothing was changed."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class ThreadCommands:
    """Carries out commands.

    Args:
        facade: Run control.
        settings: What counts where a command is silent.
    """

    def __init__(self, facade: RunsFacade, settings: HttpSettings) -> None:
        self._facade = facade
        self._settings = settings

    async def perform(
        self, thread_id: str, user_id: str | None, command: Command, headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], RunRecord | None]:
        """Carry out a command.

        Args:
            thread_id: The thread.
            user_id: Who commands.
            command: What.
            headers: Of the request; runs may see some of them.

        Returns:
            The answer, and the run that was created or goes on; none for what was refused.

        Raises:
            RunsError, BridgeError, GatewayError: Something that passes keeps it from being done.
        """
        try:
            spec = await self._spec_of(thread_id, user_id, command)
            run = await self._create(spec, user_id, headers)
        except _RefusedError as refusal:
            return _refused(command, refusal.error, str(refusal)), None
        except (RunsError, BridgeError, GatewayError) as error:
            if error.retryable:
                raise
            return _refused(command, _code_of(error), str(error)), None
        return {"type": "success", "id": command.id, "result": {"run_id": run.run_id}}, run

    async def _create(
        self, spec: RunSpec, user_id: str | None, headers: Mapping[str, str]
    ) -> RunRecord:
        changes: dict[str, Any] = {"user_id": user_id}
        if self._settings.header_includes:
            changes["config"] = with_headers(spec.config, headers, self._settings)
        return await self._facade.create_background(spec.model_copy(update=changes))

    async def _spec_of(self, thread_id: str, user_id: str | None, command: Command) -> RunSpec:
        match command.method:
            case method if method == START_RUN:
                return self._spec(thread_id, {**command.params, "if_not_exists": "create"})
            case "input.respond":
                return await self._answer(thread_id, user_id, check(_Respond, command.params))
            case method if method in _NOT_SERVED:
                raise _RefusedError("not_supported", f"{method} is not served here")
            case _:
                raise _RefusedError("unknown_command", "no such command")

    def _spec(self, thread_id: str, params: Mapping[str, Any]) -> RunSpec:
        everything = {"stream_mode": STREAM_MODES, "stream_subgraphs": True}
        return check(RunCreate, {**params, **everything}).spec(thread_id, self._settings)

    async def _answer(self, thread_id: str, user_id: str | None, given: _Respond) -> RunSpec:
        answers = given.resume
        if not answers:
            raise InvalidRequestError("interrupt_id: Field required")
        thread = await self._facade.get_thread(thread_id, user_id=user_id)
        for interrupt_id in answers.keys() - await self._outstanding(thread):
            raise _RefusedError(
                "no_such_interrupt", f"nothing on the thread waits for {interrupt_id!r}"
            )
        known = thread.active or thread.last
        asking = await self._facade.get_run(thread_id, known.run_id) if known else None
        if asking is None or asking.assistant_id is None:
            raise _RefusedError("no_such_interrupt", "nothing on the thread waits")
        extras = given.model_dump(include={"update", "goto"}, exclude_none=True)
        return self._spec(
            thread_id,
            {
                "assistant_id": asking.assistant_id,
                "command": {"resume": answers, **extras},
                "config": given.config,
                "metadata": given.metadata,
            },
        )

    async def _outstanding(self, thread: ThreadRecord) -> set[str]:
        """Return the ids of the questions that the thread waits for."""
        if thread.question is not None:
            return {thread.question.input_id}
        if thread.status is not ThreadStatus.INTERRUPTED:
            return set()
        try:
            values = (await self._facade.state_of(thread)).values
        except OutputsNotFoundError:
            return set()
        return {each["id"] for each in asked_in(values)}


def _refused(command: Command, error: str, message: str) -> dict[str, Any]:
    return {"type": "error", "id": command.id, "error": error, "message": message}


def _code_of(error: Exception) -> str:
    if isinstance(error, ThreadNotFoundError | RunNotFoundError):
        return "no_such_run"
    return "invalid_argument"
