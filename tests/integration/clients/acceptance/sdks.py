"""The four SDKs that people have, unmodified, behind one way to call them.

Methods go by their dotted Python names, ``threads.get_state``, and options by the Python ones; the
npm packages get both in camel case, the options in one object.
"""

import asyncio
from contextlib import aclosing, asynccontextmanager, closing
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import pytest
from js_client import JsError, js_client
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

SDKS = ("python", "python-sync", "sdk-2.0.0", "sdk-1.15.0")
ERRORS = {404: NotFoundError, 409: ConflictError, 422: UnprocessableEntityError}
#: Options that npm takes by their places.
PLACES = {"runs.cancel": ("wait", "action")}


class Part(NamedTuple):
    """What an SDK yields of a stream."""

    id: str | None
    event: str
    data: Any


class PythonSdk:
    """What both kinds of the Python SDK have in common."""

    def __init__(self, client):
        self._client = client

    def refused(self, status):
        """Expect that a call throws what stands for a status."""
        return pytest.raises(ERRORS[status])


class AsyncSdk(PythonSdk):
    async def call(self, method, *args, **options):
        """Return what a method returns."""
        return await attrgetter(method)(self._client)(*args, **options)

    async def read(self, method, *args, stop_after=None, **options):
        """Return the parts of a stream, all of them or the first few."""
        read = []
        async with aclosing(attrgetter(method)(self._client)(*args, **options)) as stream:
            async for part in stream:
                read.append(Part(part.id, part.event, part.data))
                if len(read) == stop_after:
                    break
        return read


class SyncSdk(PythonSdk):
    async def call(self, method, *args, **options):
        return await asyncio.to_thread(attrgetter(method)(self._client), *args, **options)

    async def read(self, method, *args, stop_after=None, **options):
        def read():
            with closing(attrgetter(method)(self._client)(*args, **options)) as stream:
                parts = islice(stream, stop_after)
                return [Part(part.id, part.event, part.data) for part in parts]

        return await asyncio.to_thread(read)


class NpmSdk:
    def __init__(self, js):
        self._js = js

    def refused(self, status):
        return pytest.raises(JsError, check=lambda error: error.status == status)

    async def call(self, method, *args, **options):
        if method in PLACES:
            last = [options[name] for name in PLACES[method] if name in options]
        else:
            last = [_in_camel_case(options)]
        return await self._js.call(camel(method), *args, *last)

    async def read(self, method, *args, stop_after=None, **options):
        last = {**_in_camel_case(options), "signal": True}
        parts = await self._js.collect(camel(method), *args, last, stop_after=stop_after)
        return [Part(part.get("id"), part["event"], part.get("data")) for part in parts]


def camel(name):
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _in_camel_case(options):
    return {camel(name): value for name, value in options.items()}


@asynccontextmanager
async def open_sdk(name, url, **python):
    """Open one of ``SDKS``; options are those of the Python client."""
    match name:
        case "python":
            async with get_client(url=url, api_key=None, **python) as client:
                yield AsyncSdk(client)
        case "python-sync":
            with get_sync_client(url=url, api_key=None, **python) as client:
                yield SyncSdk(client)
        case _:
            async with js_client(name, url) as js:
                yield NpmSdk(js)
