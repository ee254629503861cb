"""One publisher that waits for each acknowledgement: bridge.publish beside bare js.publish.

The second baseline publishes what the bridge stores, headers and all, to the bridge's own stream:
the difference between the two baselines is the price of the log's format, the rest is ours.
"""

from typing import Final

from bench.report import Figure
from bench.rounds import TimedAction, interleaved, rate, timed
from bench.setting import (
    BARE_SUBJECT,
    DATA,
    EVENT,
    PAYLOAD,
    bare_client,
    bare_stream,
    new_run,
    open_bridge,
    running_server,
)
from bridge import new_event, new_id, wire
from bridge.subjects import RunRef, Subjects

TITLE: Final = "one publisher that waits for each acknowledgement, 200-byte events"
PER_ROUND: Final = 100
ROUNDS: Final = 200
SMOKE_ROUNDS: Final = 3


async def measure(*, smoke: bool) -> list[Figure]:
    async with (
        running_server() as server,
        open_bridge(server) as bridge,
        bare_client(server) as client,
    ):
        run_id = await new_run(bridge)
        jetstream = await bare_stream(client)
        subject = Subjects().event(RunRef(new_id(), new_id()))
        last_seq = 0

        async def publish() -> None:
            for _ in range(PER_ROUND):
                await bridge.publish(run_id, EVENT, DATA)

        async def publish_bare() -> None:
            for _ in range(PER_ROUND):
                await jetstream.publish(BARE_SUBJECT, PAYLOAD)

        async def publish_bare_in_our_format() -> None:
            nonlocal last_seq
            for number in range(PER_ROUND):
                event = new_event(EVENT, DATA)
                headers = wire.encode_headers(event, number, 200 * number, "0123456789ab.1")
                headers[wire.EXPECTED_SUBJECT_SEQUENCE] = str(last_seq)
                ack = await jetstream.publish(subject, event.payload, headers=headers)
                last_seq = ack.seq

        actions: dict[str, TimedAction] = {
            "bridge": timed(publish),
            "bare": timed(publish_bare),
            "bare in our format": timed(publish_bare_in_our_format),
        }
        seconds = await interleaved(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    rates = {name: rate(PER_ROUND, each) for name, each in seconds.items()}
    return [
        Figure(
            "bridge.publish",
            rates["bridge"],
            "/s",
            "nats-py js.publish of the same payload",
            rates["bare"],
            "ratio >= 0.9",
        ),
        Figure(
            "bridge.publish",
            rates["bridge"],
            "/s",
            "js.publish with the same headers to the same stream",
            rates["bare in our format"],
        ),
    ]
