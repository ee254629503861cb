"""A deleted run stays away after its marker has gone, too."""

import pytest

from bridge import (
    END,
    HEARTBEAT,
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RetentionSettings,
    RunRef,
    StreamNotFoundError,
    StreamTerminatedError,
)

RUN = RunRef("thread", "run")


async def test_a_deleted_run_cannot_come_back_when_its_marker_has_gone(server, eventually):
    settings = BridgeSettings(
        nats=NatsSettings(url=server.url, user=server.user, password=server.password),
        retention=RetentionSettings(deleted_ttl_s=1),
    )
    async with (
        JetStreamBridge(settings) as bridge,
        JetStreamBridge(settings) as writer,
        JetStreamBridge(settings) as stranger,
    ):
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        await writer.publish(RUN.run_id, "note", 1)
        async with stranger.subscribe(RUN.run_id, heartbeat_interval=0.2) as items:
            await bridge.cleanup(RUN.run_id)
            assert [item async for item in items if item is not HEARTBEAT][-1] is END

        async def is_marker_gone():
            return await bridge._log.run(RUN).find_last() is None

        await eventually(is_marker_gone)
        for one in (bridge, writer, stranger):
            with pytest.raises(StreamTerminatedError):
                await one.create(RUN.run_id, thread_id=RUN.thread_id)
            with pytest.raises((StreamTerminatedError, StreamNotFoundError)):
                await one.publish(RUN.run_id, "note", "late")
            with pytest.raises(StreamNotFoundError):
                await one.status(RUN.run_id)
        await stranger.cleanup(RUN.run_id)
        assert await is_marker_gone()
