"""A process that is killed while it stores a checkpoint: with its parts there, and not named."""

import os
import signal

import uvloop

from bridge import BridgeSettings, JetStreamBridge, NatsSettings
from bridge.checkpoints.writing import CheckpointWriter

PARTS = 3


async def _store(nats, thread_id, run_id, size):
    async with JetStreamBridge(BridgeSettings(nats=NatsSettings(**nats))) as bridge:
        log = bridge.checkpoints
        claim = await log.claim(thread_id, run_id=run_id, attempt=1)
        await log.append(claim, "", "whole", b"w" * size)
        publish, left = CheckpointWriter.publish, PARTS

        async def publish_and_die(*given):
            nonlocal left
            await publish(*given)
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        CheckpointWriter.publish = publish_and_die
        await log.append(claim, "", "torn", b"t" * size)


def store_and_die(nats, thread_id, run_id, size):
    """Store one checkpoint of ``size`` bytes, and of a second one ``PARTS`` parts."""
    uvloop.run(_store(nats, thread_id, run_id, size))
