"""What goes to the server is encoded here, so a header must never become two."""

import pytest

from bridge.errors import InvalidEventError
from bridge.outbound import encode_message


def test_a_message_without_headers_is_a_plain_publish():
    assert encode_message("a.b", "", None, b"{}") == (2, b"PUB a.b  2\r\n{}\r\n")
    assert encode_message("a.b", "_INBOX.1", None, b"") == (0, b"PUB a.b _INBOX.1 0\r\n\r\n")


def test_headers_are_counted_in_bytes_before_the_payload():
    block = "NATS/1.0\r\nRun-Event: é\r\nRun-Seq: 1\r\n\r\n".encode()
    sizes = f"{len(block)} {len(block) + 2}"
    size, message = encode_message("a.b", "r", {"Run-Event": "é", "Run-Seq": "1"}, b"{}")
    assert size == len(block) + 2
    assert message == f"HPUB a.b r {sizes}\r\n".encode() + block + b"{}\r\n"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n"])
def test_a_line_break_cannot_smuggle_in_a_header(line_break):
    with pytest.raises(InvalidEventError):
        encode_message("a.b", "", {"Run-Event": f"x{line_break}Nats-Rollup: sub"}, b"{}")
