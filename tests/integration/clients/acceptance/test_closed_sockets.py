"""A creator whose socket closes cancels its run, if it wished so when it created it."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import pytest
from cutting_proxy import close_with_reset

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def open_request(url, path, body):
    """Send a request as bytes; return the ids of the run that it created, and the open socket."""
    content = json.dumps(body).encode()
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    created = re.search(r"Content-Location: /threads/(\S+)/runs/(\S+)", answer)
    return created.groups(), writer


@pytest.mark.parametrize("end", ["orderly", "reset"])
@pytest.mark.parametrize("call", ["stream", "wait"])
@pytest.mark.parametrize("mode", ["cancel", "continue"])
async def test_a_closed_socket_ends_the_run_or_not_as_its_creator_wished(
    stack, eventually, mode, call, end
):
    given = {"sleep_s": 60 if mode == "cancel" else 0.5}
    body = {"assistant_id": "echo", "input": given, "on_disconnect": mode, "on_completion": "keep"}
    created, writer = await open_request(stack.gateway.url, f"/runs/{call}", body)

    async def has_status(status):
        return (await stack.client.runs.get(*created))["status"] == status

    await eventually(lambda: has_status("running"))
    if end == "reset":
        close_with_reset(writer)
    else:
        writer.close()
    await eventually(lambda: has_status("interrupted" if mode == "cancel" else "success"))
