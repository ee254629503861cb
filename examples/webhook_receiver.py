"""Receive webhooks, and believe only those that are signed and fresh; needs no library.

Usage: WEBHOOK_SECRET=... python examples/webhook_receiver.py [PORT]
"""

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BYTES = 2 << 20
TOLERANCE_S = 300


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Return whether a call is from who knows ``secret``, whole, and not an old one repeated."""
    timestamp = headers.get("Jetrun-Webhook-Timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    signed = timestamp.encode() + b"." + body
    wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = headers.get("Jetrun-Webhook-Signature", "")
    # Takes as long for a wrong first character as for a wrong last one.
    return hmac.compare_digest(wanted.encode(), given.encode())


class Receiver(BaseHTTPRequestHandler):
    """Prints each run once; a repeated call is answered and not counted again."""

    secret = os.environ.get("WEBHOOK_SECRET", "")
    seen: set[str] = set()  # noqa: RUF012 - of the whole process; a real receiver keeps it in its database

    def do_POST(self) -> None:
        """Take one call."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(min(length, MAX_BYTES))
        is_genuine = bool(self.secret) and verify(dict(self.headers), body, self.secret)
        if is_genuine and self.headers["Jetrun-Webhook-Id"] not in self.seen:
            self.seen.add(self.headers["Jetrun-Webhook-Id"])
            run = json.loads(body)
            print(run["run_id"], run["status"], run["values"], flush=True)
        self.send_response(204 if is_genuine else 403)
        self.end_headers()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
