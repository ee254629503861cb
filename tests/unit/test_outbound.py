"""What goes to the server is encoded here, so a header must never become two."""

import pytest

from bridge import NewEvent, wire
from bridge.errors import InvalidEventError
from bridge.nats_client import parse_header_lines
from bridge.outbound import encode_message
from bridge.subjects import RunRef


def test_a_message_without_headers_is_a_plain_publish():
    assert encode_message("a.b", "", b"", b"{}") == (2, b"PUB a.b  2\r\n{}\r\n")
    assert encode_message("a.b", "_INBOX.1", b"", b"") == (0, b"PUB a.b _INBOX.1 0\r\n\r\n")


def test_headers_are_counted_in_bytes_before_the_payload():
    block = "NATS/1.0\r\nRun-Event: é\r\nRun-Seq: 1\r\n\r\n".encode()
    sizes = f"{len(block)} {len(block) + 2}"
    headers = wire.encode_headers({"Run-Event": "é", "Run-Seq": "1"})
    size, message = encode_message("a.b", "r", headers, b"{}")
    assert size == len(block) + 2
    assert message == f"HPUB a.b r {sizes}\r\n".encode() + block + b"{}\r\n"


def test_an_event_is_described_by_headers_that_read_back():
    event = NewEvent("tick", b"{}", "trace", b'{"a":1}', created_at="2026-11-20T09:00:00.000000Z")
    described = parse_header_lines(wire.encode_event(event, 7, 300, "writer.1"))
    assert wire.headers_of(wire.decode_event(RunRef("t", "r"), 1, described, b"{}")) == described
    lines = wire.encode_event(event, 7, 300, "writer.1") + wire.encode_expected(12)
    assert parse_header_lines(lines) == {
        "Run-Event": "tick",
        "Run-Seq": "7",
        "Run-Bytes": "300",
        "Run-Category": "trace",
        "Run-Time": "2026-11-20T09:00:00.000000Z",
        "Run-Meta": '{"a":1}',
        "Run-Writer": "writer.1",
        "Run-Version": "1",
        "Nats-Expected-Last-Subject-Sequence": "12",
    }


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n"])
def test_a_line_break_cannot_smuggle_in_a_header(line_break):
    smuggled = f"x{line_break}Nats-Rollup: sub"
    with pytest.raises(InvalidEventError):
        wire.encode_headers({"Run-Event": smuggled})
    for event in (
        NewEvent(smuggled, b"{}"),
        NewEvent("tick", b"{}", smuggled),
        NewEvent("tick", b"{}", metadata=smuggled.encode()),
    ):
        with pytest.raises(InvalidEventError):
            wire.encode_event(event, 1, 2, "writer.1")
