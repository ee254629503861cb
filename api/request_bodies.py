"""Read what clients send: bodies and queries, checked in full before anything is done."""

from typing import Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.errors import InvalidJsonError, InvalidRequestError
from api.limits.bodies import BODIES, Bodies
from bridge.json_bytes import decode_json

_Model = TypeVar("_Model", bound=BaseModel)

MAX_SHOWN_ERRORS: Final = 5
_MAX_SHOWN_PLACE: Final = 100


async def read_body(request: web.Request, model: type[_Model]) -> _Model:
    """Read the request's JSON body; an empty one counts as an empty object.

    Raises:
        GatewayError: It did not arrive in time, or exceeds another limit than its size.
        InvalidJsonError: It is not strict JSON in UTF-8: NaN, Infinity and lone surrogates are
            refused, too.
        InvalidRequestError: It does not fit ``model``; the message names each place.
        web.HTTPRequestEntityTooLarge: It exceeds ``max_body_bytes``.
    """
    bodies = request.app[BODIES]
    try:
        content = _parse(await bodies.read(request), bodies)
    except orjson.JSONDecodeError as error:
        raise InvalidJsonError(str(error)) from error
    except web.RequestPayloadError as error:
        raise InvalidJsonError("its content encoding is broken") from error
    return check(model, content)


def _parse(body: bytes, bodies: Bodies) -> object:
    if not body:
        return {}
    # Refuses what is not strict JSON, but reads integers beyond 64 bits as floats.
    bodies.check_depth(body, orjson.loads(body))
    return decode_json(body)


def read_query(request: web.Request, model: type[_Model]) -> _Model:
    """Read the request's query; of a repeated name the first counts.

    Raises:
        InvalidRequestError: It does not fit ``model``; the message names each place.
    """
    return check(model, dict(request.query))


def read_headers(request: web.Request, model: type[_Model]) -> _Model:
    """Read the request's headers by their names in lower case; of a repeated one the last counts.

    Raises:
        InvalidRequestError: They do not fit ``model``; the message names each place.
    """
    return check(model, {name.lower(): value for name, value in request.headers.items()})


def check(model: type[_Model], content: object) -> _Model:
    """Return ``content`` as ``model``.

    Raises:
        InvalidRequestError: It does not fit; the message names each place, never the content.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        places = error.errors(include_url=False, include_input=False, include_context=False)
        shown = "; ".join(_explain(place) for place in places[:MAX_SHOWN_ERRORS])
        raise InvalidRequestError(shown) from error


def _explain(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])[:_MAX_SHOWN_PLACE]
    return f"{place or 'body'}: {error['msg']}"
