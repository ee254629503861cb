"""The port of a process's figures, with clients that do not behave."""

import socket
import struct
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from bridge.metrics.endpoint import Health, serving_metrics


@pytest.fixture
def port():
    with serving_metrics(
        "127.0.0.1", 0, CollectorRegistry(), lambda: Health(is_well=True, said=b"{}")
    ) as port:
        yield port


def test_a_client_that_breaks_off_disturbs_nobody_and_prints_nothing(port, capsys):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /hea")
        # Closing then resets the connection instead of ending it.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with urlopen(f"http://127.0.0.1:{port}/health") as answer:
        assert answer.status == 200
    assert capsys.readouterr().err == ""
