"""Declare beside a handler what it takes and answers: for its reading, and for the API's document.

A handler names the models of what it reads by its own parameters ``body``, ``query`` and
``headers``; :func:`operation` reads them before it is called. So the document cannot promise
another form than the one that is checked.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeAlias, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from api.problems import KnownError
from api.request_bodies import read_body, read_headers, read_query

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

Handler: TypeAlias = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
_Declared: TypeAlias = Callable[..., Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a handler answers.

    Attributes:
        content: The type of the document, or of each event; ``None`` for an answer that has no
            such form.
        status: The HTTP status.
        media_type: What kind of content it is.
        headers: What its headers mean, by name, beside those of every answer.
    """

    content: Any = None
    status: int = HTTPStatus.OK
    media_type: str | None = JSON
    headers: Mapping[str, str] | None = None


DONE: Final = Answer(status=HTTPStatus.NO_CONTENT, media_type=None)
ACCEPTED: Final = Answer(status=HTTPStatus.ACCEPTED, media_type=None)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a handler reads from a request without a model.

    Attributes:
        name: The name.
        description: What it does.
        schema: Its form.
        place: ``query`` or ``header``.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """What one handler takes and answers.

    Attributes:
        summary: What it does.
        models: Of ``body``, ``query`` and ``headers``, where it reads them.
        answers: How it answers when all is well.
        raises: What else can come of it, beside what every route can answer.
        parameters: What it reads without a model.
    """

    summary: str
    models: Mapping[str, type[BaseModel]]
    answers: tuple[Answer, ...]
    raises: tuple[type[KnownError], ...]
    parameters: tuple[Parameter, ...]


#: By the functions that serve them.
_OPERATIONS: Final[dict[object, Operation]] = {}


def operation(
    *answers: Answer,
    raises: tuple[type[KnownError], ...] = (),
    parameters: tuple[Parameter, ...] = (),
) -> Callable[[_Declared], Handler]:
    """Make a handler of a method, which gets what it names read and checked.

    Args:
        answers: How it answers when all is well.
        raises: The errors of this operation; what every route can raise need not be named.
        parameters: What it reads from the request itself.
    """

    def declare(method: _Declared) -> Handler:
        hints = get_type_hints(method)
        models = {name: hints[name] for name in _READERS if name in hints}
        summary = (method.__doc__ or "").partition("\n\n")[0]

        @wraps(method)
        async def handle(routes: Any, request: web.Request) -> web.StreamResponse:
            given = {name: await _READERS[name](request, model) for name, model in models.items()}
            return await method(routes, request, **given)

        _OPERATIONS[handle] = Operation(_plain(summary), models, answers, raises, parameters)
        return handle

    return declare


async def _read_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    return read_query(request, model)


async def _read_headers(request: web.Request, model: type[BaseModel]) -> BaseModel:
    return read_headers(request, model)


def find_operation(handler: object) -> Operation | None:
    """Return what a handler declared; ``None`` for one that declared nothing."""
    return _OPERATIONS.get(getattr(handler, "__func__", handler))


def _plain(summary: str) -> str:
    """Return a docstring's first sentence as prose: without the route, without markup."""
    text = _ROUTE.sub("", " ".join(summary.split())).replace("``", "")
    return text[:1].upper() + text[1:]


_READERS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {"body": read_body, "query": _read_query, "headers": _read_headers}
)
#: How docstrings of handlers begin.
_ROUTE: Final = re.compile(r"^``[^`]*``( and ``[^`]*``)?[:,;.]? ?")
