"""The baseline of the first event: an aiohttp handler that answers with one SSE event at once."""

import socket

import uvloop
from aiohttp import web

from bench.setting import EVENT, PAYLOAD
from bridge import sse_frame

_FRAME = sse_frame("1-1", EVENT, PAYLOAD)


async def answer(request: web.Request) -> web.StreamResponse:
    """Read the body and answer."""
    await request.json()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(_FRAME)
    await response.write_eof()
    return response


app = web.Application()
app.add_routes([web.post("/stream", answer)])
listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
web.run_app(app, sock=listener, print=None, access_log=None, loop=uvloop.new_event_loop())
