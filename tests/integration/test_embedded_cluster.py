"""Three embedded nodes are one JetStream cluster; a server on its own is none."""

import asyncio

import nats
import pytest

from bridge import (
    BridgeSettings,
    EmbeddedServerSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
)
from bridge.server.cluster import EmbeddedCluster


def settings_for(servers, url):
    access = NatsSettings(url=url, user=servers.user, password=servers.password)
    return BridgeSettings(nats=access, log=LogSettings(replicas=3, request_timeout_s=0.5))


async def test_streams_wait_until_enough_nodes_have_met(tmp_path):
    cluster = EmbeddedCluster(tmp_path)
    first, second, third = cluster.nodes
    async with first, second:
        opening = asyncio.create_task(JetStreamBridge(settings_for(cluster, first.url)).start())
        done, _ = await asyncio.wait([opening], timeout=2)
        assert not done
        async with third:
            bridge = JetStreamBridge(settings_for(cluster, cluster.url))
            async with asyncio.timeout(20), bridge:
                await opening
                await bridge.create("run-1", thread_id="thread-1")
                assert (await bridge.status("run-1")).event_count == 1


async def test_a_server_on_its_own_belongs_to_no_cluster(server):
    client = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    assert "cluster" not in client._server_info
    await client.close()


async def test_nodes_cannot_share_a_port(tmp_path):
    with pytest.raises(ValueError, match="port"):
        EmbeddedCluster(tmp_path, settings=EmbeddedServerSettings(port=4222))
