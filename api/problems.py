"""Say what went wrong as RFC 9457 problem documents; the one place that knows HTTP statuses.

``code`` is stable and safe to match on; ``detail`` is a sentence for people, which the SDKs show.
"""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

import bridge.errors
import bridge.replies
import bridge.server.errors
import runs.errors
import store.errors
from api import errors
from api.auth.errors import (
    ChallengeError,
    CredentialEndedError,
    CredentialRefusedError,
    NotAuthenticatedError,
    OperatorsOnlyError,
    ScopeMissingError,
    SigningKeysUnavailableError,
)
from api.limits.errors import (
    HeadersTooLargeError,
    JsonTooDeepError,
    MalformedRequestError,
    OverloadedError,
    RequestTimeoutError,
    TooManyAddressConnectionsError,
    TooManyBodiesError,
    TooManyConnectionsError,
    TooManyEventsError,
    TooManyUserStreamsError,
    UnsupportedEncodingError,
    UrlTooLongError,
)
from bridge import log_context

_LOG = logging.getLogger(__name__)

#: On a problem document: its code, for those who count.
PROBLEM_CODE: Final = web.ResponseKey[str]("problem code")

#: Seconds that a client waits before it asks again, where waiting can help.
RETRY_AFTER_S: Final = 1

_ERRORS_OF_STATUS: Final[Mapping[HTTPStatus, tuple[type[Exception], ...]]] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: (errors.ContradictoryOptionsError, MalformedRequestError),
        HTTPStatus.UNAUTHORIZED: (
            CredentialEndedError,
            CredentialRefusedError,
            NotAuthenticatedError,
        ),
        HTTPStatus.FORBIDDEN: (
            OperatorsOnlyError,
            ScopeMissingError,
            errors.HostNotAllowedError,
            errors.OriginNotAllowedError,
        ),
        HTTPStatus.NOT_FOUND: (
            bridge.errors.ConsumerNotFoundError,
            bridge.errors.StreamNotFoundError,
            runs.errors.AssistantNotFoundError,
            runs.errors.AssistantVersionNotFoundError,
            runs.errors.CheckpointNotFoundError,
            runs.errors.CronNotFoundError,
            runs.errors.OutputsNotFoundError,
            runs.errors.RunNotFoundError,
            runs.errors.ThreadNotFoundError,
            runs.errors.WebhookNotFoundError,
            store.errors.RunNotArchivedError,
        ),
        HTTPStatus.REQUEST_TIMEOUT: (RequestTimeoutError,),
        HTTPStatus.CONFLICT: (
            bridge.errors.AlreadyQueuedError,
            bridge.errors.CheckpointFencedError,
            bridge.errors.ConflictError,
            bridge.errors.ConsumerDriftError,
            bridge.errors.StateConflictError,
            bridge.errors.StreamFencedError,
            bridge.errors.StreamTerminatedError,
            bridge.errors.SubscriptionTakenError,
            runs.errors.AssistantDeclaredError,
            runs.errors.AssistantExistsError,
            runs.errors.IdempotencyKeyUsedError,
            runs.errors.IllegalTransitionError,
            runs.errors.InputTimeoutError,
            runs.errors.RunConflictError,
            runs.errors.NothingToResumeError,
            runs.errors.RunFailedError,
            runs.errors.RunInterruptedError,
            runs.errors.RunNotCancellableError,
            runs.errors.RunNotStartableError,
            runs.errors.RunStoppedError,
            runs.errors.ThreadExistsError,
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
            bridge.errors.BatchTooLargeError,
            bridge.errors.CheckpointTooLargeError,
            bridge.errors.EventTooLargeError,
            bridge.errors.ItemTooLargeError,
            runs.errors.InputTooLargeError,
        ),
        HTTPStatus.REQUEST_URI_TOO_LONG: (UrlTooLongError,),
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (UnsupportedEncodingError,),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            JsonTooDeepError,
            bridge.errors.InvalidContentError,
            bridge.errors.InvalidEventError,
            bridge.errors.InvalidFilterError,
            bridge.errors.InvalidIdError,
            bridge.errors.InvalidStartError,
            bridge.errors.ReservedEventError,
            errors.InvalidJsonError,
            errors.InvalidRequestError,
            store.errors.InvalidPageError,
            runs.errors.InvalidScheduleError,
            runs.errors.NotNewestStateError,
            runs.errors.StateUpdateError,
            runs.errors.UnsupportedActionError,
            runs.errors.UnsupportedOptionError,
            runs.errors.UnsupportedStrategyError,
            runs.errors.WebhookRefusedError,
        ),
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (HeadersTooLargeError,),
        HTTPStatus.TOO_MANY_REQUESTS: (
            TooManyAddressConnectionsError,
            TooManyEventsError,
            TooManyUserStreamsError,
            runs.errors.QueueFullError,
            runs.errors.TooManyCronsError,
            runs.errors.TooManyRunsError,
        ),
        # What operators, not clients, can mend.
        HTTPStatus.INTERNAL_SERVER_ERROR: (
            bridge.errors.ApiError,
            bridge.errors.CheckpointDamagedError,
            bridge.errors.ForeignMessageError,
            bridge.errors.TracingMissingError,
            bridge.errors.UnknownSettingError,
            bridge.server.errors.DirectoryInUseError,
            bridge.server.errors.PortInUseError,
            bridge.server.errors.ServerBinaryNotFoundError,
            bridge.server.errors.ServerStartError,
            runs.errors.AssistantLoadError,
            runs.errors.GraphFailedError,
            runs.errors.BlockingCallError,
            runs.errors.LangGraphMissingError,
            runs.errors.UnreadableRecordError,
            store.errors.AnalyticsMissingError,
            store.errors.ArchiveLockedError,
            store.errors.ArchiveMarkError,
            store.errors.DamagedFileError,
            store.errors.EmptyArchiveError,
            store.errors.InvalidPayloadError,
            store.errors.LogReplacedError,
            store.errors.MalformedLineError,
            store.errors.QueryError,
            store.errors.RunSeqHoleError,
        ),
        HTTPStatus.SERVICE_UNAVAILABLE: (
            OverloadedError,
            SigningKeysUnavailableError,
            TooManyBodiesError,
            TooManyConnectionsError,
            bridge.errors.AccessDeniedError,
            bridge.errors.BridgeClosedError,
            bridge.errors.ColdTierError,
            bridge.errors.CredentialsUnusableError,
            bridge.errors.JetStreamDisabledError,
            bridge.errors.NewerVersionError,
            bridge.errors.NoAnswerError,
            bridge.errors.ServerTooOldError,
            bridge.errors.StreamsMissingError,
            bridge.errors.TopologyDriftError,
            bridge.errors.UnavailableError,
            bridge.replies.SilenceError,
            errors.GatewayClosingError,
            errors.TooManyStreamsError,
            runs.errors.ContentionError,
            runs.errors.ReadModelBehindError,
            runs.errors.ReadModelUnavailableError,
            store.errors.ErasureDelayedError,
            store.errors.NewerArchiveError,
        ),
        HTTPStatus.INSUFFICIENT_STORAGE: (
            bridge.errors.ConsumerLimitError,
            bridge.errors.StreamCapacityExceededError,
        ),
    }
)

#: Every error class of the system and its status; a new class must be entered above.
STATUS_OF_ERROR: Final[Mapping[type[Exception], HTTPStatus]] = MappingProxyType(
    {error: status for status, classes in _ERRORS_OF_STATUS.items() for error in classes}
)

KnownError = (
    bridge.errors.BridgeError
    | runs.errors.RunsError
    | store.errors.StoreError
    | errors.GatewayError
)

#: The content type of RFC 9457.
PROBLEM: Final = "application/problem+json"
#: The code of what nobody foresaw.
INTERNAL: Final = "internal"
#: Statuses after which asking again can help.
MAY_RETRY: Final = frozenset({429, 503, 507})
#: Of what the HTTP server itself refuses.
CODE_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {404: "route-not-found", 405: "method-not-allowed", 413: "body-too-large", 416: "bad-range"}
)


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a problem document as an answer.

    Args:
        status: The HTTP status.
        code: The stable name of the problem.
        detail: What went wrong, and what to do next.
        headers: More headers, for example ``Allow``.
    """
    content = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **_request_id(),
    }
    retry = {"Retry-After": str(RETRY_AFTER_S)} if status in MAY_RETRY else {}
    response = web.Response(
        status=status,
        # ASCII, because a detail may echo what came in and could not be decoded.
        body=json.dumps(content).encode("ascii"),
        content_type=PROBLEM,
        headers={"Cache-Control": "no-store", **retry, **(headers or {})},
    )
    response[PROBLEM_CODE] = code
    return response


def _request_id() -> dict[str, str]:
    named = log_context().get("request_id")
    return {} if named is None else {"request_id": named}


def problem_of(error: KnownError) -> web.Response:
    """Return the problem document that says ``error``."""
    for known in type(error).__mro__:
        status = STATUS_OF_ERROR.get(known)
        if status is not None:
            headers = {}
            if isinstance(error, ChallengeError):
                headers["WWW-Authenticate"] = error.challenge
            return problem(status, error.code, str(error), headers)
    return unexpected(error)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler into a problem document, unless its answer has begun."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem_of_http(request, error)
    except Exception as error:  # the outermost frame of a request, which must answer
        if request.writer.output_size > 0:
            raise
        return problem_of(error) if isinstance(error, KnownError) else unexpected(error)


def problem_of_http(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """Return the problem document that says what aiohttp refused."""
    details = {
        404: f"there is nothing at {request.path[:200]}",
        405: f"{request.method} is not possible at {request.path[:200]}",
        416: "the range lies outside of the file; Content-Range says how long it is",
        413: f"the body exceeds the limit of {request.client_max_size} bytes",
    }
    told = {
        name: error.headers[name] for name in ("Allow", "Content-Range") if name in error.headers
    }
    return problem(
        error.status,
        CODE_OF_STATUS.get(error.status, f"http-{error.status}"),
        details.get(error.status, error.reason),
        told,
    )


def unexpected(error: BaseException) -> web.Response:
    """Return the problem document for a defect, and log what it was."""
    _LOG.error("request.failed", exc_info=error)
    return problem(500, INTERNAL, "the gateway failed to handle the request; its log says why")


def as_bytes(answer: web.Response) -> bytes:
    """Return an answer as it is on the wire, for a connection that is closed behind it."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    headers = {**answer.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
