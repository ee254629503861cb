import pytest
from aiohttp import ClientSession, web

from api.client import GatewayRequestError, RunStream, SseMessage

COUNT = 20


class Gateway:
    """Serves one run of 20 events and misbehaves as it is told, once for each connection."""

    def __init__(self):
        self.cursors = []
        self.misbehaviour = []

    async def stream(self, request):
        cursor = request.headers.get("Last-Event-ID", "")
        self.cursors.append(cursor)
        wanted = self.misbehaviour.pop(0) if self.misbehaviour else None
        if isinstance(wanted, int) and wanted >= 400:
            return web.json_response({"detail": "as told"}, status=wanted)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        first = int(cursor.partition("-")[2] or 0) + 1
        for number in range(first, COUNT + 1):
            if wanted == "cut in a block" and number == first + 3:
                await response.write(f"id: {number}-{number}\nevent: e\nda".encode())
                request.transport.abort()
                return response
            if wanted == "close" and number == first + 5:
                return response
            name = "end" if number == COUNT else "e"
            await response.write(
                f": hb\nid: {number}-{number}\nevent: {name}\ndata: {number}\n\n".encode()
            )
        return response


@pytest.fixture
async def gateway():
    gateway = Gateway()
    app = web.Application()
    app.router.add_get("/stream", gateway.stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}/stream"
    yield gateway
    await runner.cleanup()


@pytest.fixture
async def session():
    async with ClientSession() as session:
        yield session


def numbers(messages):
    return [int(message.data) for message in messages]


async def test_a_run_is_read_from_the_start_to_its_end(gateway, session):
    messages = [message async for message in RunStream(session, gateway.url).messages()]

    assert numbers(messages) == list(range(1, COUNT + 1))
    assert messages[-1] == SseMessage(f"{COUNT}-{COUNT}", "end", str(COUNT))


@pytest.mark.parametrize(
    ("misbehaviour", "outages"),
    [("cut in a block", 3), ("close", 3), (429, 1), (500, 1), (503, 1)],
)
async def test_a_lost_connection_goes_on_after_the_last_message(
    gateway, session, misbehaviour, outages
):
    gateway.misbehaviour = [misbehaviour] * 3
    reasons = []
    stream = RunStream(session, gateway.url, on_outage=reasons.append)

    messages = [message async for message in stream.messages()]

    assert numbers(messages) == list(range(1, COUNT + 1))
    assert len(reasons) == outages


async def test_a_cut_drops_what_was_delivered_and_not_handed_out_yet(gateway, session):
    stream = RunStream(session, gateway.url)
    messages = []
    async for message in stream.messages():
        messages.append(message)
        if len(messages) in {4, 11}:
            stream.cut()

    assert numbers(messages) == list(range(1, COUNT + 1))
    assert gateway.cursors == ["", "4-4", "11-11"]
    assert stream.resumes == 2


async def test_reading_starts_after_a_given_event(gateway, session):
    stream = RunStream(session, gateway.url, after="15-15")

    assert numbers([message async for message in stream.messages()]) == list(range(16, COUNT + 1))


async def test_a_refusal_is_an_error_at_once(gateway, session):
    gateway.misbehaviour = [404]

    with pytest.raises(GatewayRequestError, match="404 as told"):
        await anext(RunStream(session, gateway.url).messages())

    assert len(gateway.cursors) == 1


async def test_an_outage_longer_than_the_budget_is_an_error(gateway, session):
    gateway.misbehaviour = [503] * 1000
    stream = RunStream(session, gateway.url, outage_budget_s=0.3)

    with pytest.raises(GatewayRequestError, match=r"no sign of life for 0\.3 s.*503 as told"):
        await anext(stream.messages())


async def test_a_gateway_that_was_never_there_is_an_error_at_once(session):
    with pytest.raises(GatewayRequestError, match="start a gateway"):
        await anext(RunStream(session, "http://127.0.0.1:1/stream").messages())


@pytest.mark.parametrize("url", ["somewhere", "nats://127.0.0.1:1", "http://"])
async def test_what_is_no_url_is_an_error_at_once(session, url):
    with pytest.raises(GatewayRequestError, match="is no http"):
        await anext(RunStream(session, url).messages())
