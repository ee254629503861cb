"""What can go wrong with an operation, as responses of the document: by status, with all codes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from api.answer_schemas import Problem
from api.auth.errors import (
    CredentialRefusedError,
    NotAuthenticatedError,
    OperatorsOnlyError,
    ScopeMissingError,
    SigningKeysUnavailableError,
)
from api.auth.permissions import OPEN_ROUTES, OPERATOR_ROUTES
from api.errors import (
    HostNotAllowedError,
    InvalidJsonError,
    InvalidRequestError,
    OriginNotAllowedError,
)
from api.limits.errors import (
    JsonTooDeepError,
    OverloadedError,
    RequestTimeoutError,
    TooManyBodiesError,
    UnsupportedEncodingError,
)
from api.limits.shedding import NEW_WORK, STREAMS
from api.openapi.schemas import reference_to
from api.operations import Operation
from api.problems import CODE_OF_STATUS, INTERNAL, MAY_RETRY, PROBLEM, STATUS_OF_ERROR, KnownError
from bridge import BridgeClosedError, InvalidIdError, UnavailableError
from runs import (
    AssistantNotFoundError,
    ContentionError,
    CronNotFoundError,
    RunNotFoundError,
    ThreadNotFoundError,
)

#: Of every request whose caller must be known; NATS knows the keys.
_GUARDED: Final = (
    BridgeClosedError,
    CredentialRefusedError,
    NotAuthenticatedError,
    ScopeMissingError,
    SigningKeysUnavailableError,
    UnavailableError,
)
#: Of every request with a body.
_BODIES: Final = (
    InvalidJsonError,
    JsonTooDeepError,
    RequestTimeoutError,
    TooManyBodiesError,
    UnsupportedEncodingError,
)
#: What a path names, and what is said when there is no such thing.
_NAMED: Final[Mapping[str, tuple[type[KnownError], ...]]] = {
    "assistant_id": (AssistantNotFoundError,),
    "cron_id": (CronNotFoundError, InvalidIdError),
    "run_id": (RunNotFoundError, InvalidIdError),
    "thread_id": (ThreadNotFoundError, InvalidIdError),
}
_CHALLENGED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def problem_responses(
    route: str, names: Iterable[str], operation: Operation
) -> dict[str, dict[str, Any]]:
    """Return the responses to requests that cannot be served, by status.

    Args:
        route: The method and path.
        names: What the path names.
        operation: What is declared of it.
    """
    codes: dict[int, set[str]] = defaultdict(set)
    codes[HTTPStatus.INTERNAL_SERVER_ERROR].add(INTERNAL)
    for error in (*operation.raises, *_usual_errors(route, operation)):
        codes[STATUS_OF_ERROR[error]].add(error.code)
    for name in names:
        codes[HTTPStatus.NOT_FOUND].add(CODE_OF_STATUS[HTTPStatus.NOT_FOUND])
        for error in _NAMED.get(name, ()):
            codes[STATUS_OF_ERROR[error]].add(error.code)
    if "body" in operation.models:
        too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        codes[too_large].add(CODE_OF_STATUS[too_large])
    if any(answer.status == HTTPStatus.PARTIAL_CONTENT for answer in operation.answers):
        bad_range = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        codes[bad_range].add(CODE_OF_STATUS[bad_range])
    return {str(int(status)): _response(status, each) for status, each in sorted(codes.items())}


def _usual_errors(route: str, operation: Operation) -> Iterator[type[KnownError]]:
    """Yield what need not be declared, because it follows from what an operation reads and is."""
    yield HostNotAllowedError
    if not route.startswith("GET "):
        yield OriginNotAllowedError
    if route not in OPEN_ROUTES:
        yield from _GUARDED
        if not route.startswith("GET "):
            yield ContentionError
    if route in OPERATOR_ROUTES:
        yield OperatorsOnlyError
    if operation.models or operation.parameters:
        yield InvalidRequestError
    if "body" in operation.models:
        yield from _BODIES
    if route in NEW_WORK - STREAMS:
        yield OverloadedError


def _response(status: int, codes: Iterable[str]) -> dict[str, Any]:
    schema = {**reference_to(Problem.__name__), "properties": {"code": {"enum": sorted(codes)}}}
    tells = {"WWW-Authenticate": status in _CHALLENGED, "Retry-After": status in MAY_RETRY}
    headers = {name: {"schema": {"type": "string"}} for name, told in tells.items() if told}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(sorted(codes))}.",
        **({"headers": headers} if headers else {}),
        "content": {PROBLEM: {"schema": schema}},
    }
