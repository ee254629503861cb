"""The signature of a call: HMAC-SHA256 over the timestamp, a dot, and the body.

The timestamp is signed, so that a receiver can refuse calls that somebody has recorded and sends
again; see docs/http.md for a receiver that does.
"""

import hashlib
import hmac
from typing import Final

ID_HEADER: Final = "Jetrun-Webhook-Id"
ATTEMPT_HEADER: Final = "Jetrun-Webhook-Attempt"
TIMESTAMP_HEADER: Final = "Jetrun-Webhook-Timestamp"
SIGNATURE_HEADER: Final = "Jetrun-Webhook-Signature"
_VERSION: Final = "v1"


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return what the signature header of a call says.

    Args:
        secret: What sender and receiver share.
        timestamp: Seconds since 1970, as the timestamp header says them.
        body: The call's body, byte for byte.
    """
    signed = b"%d.%b" % (timestamp, body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"{_VERSION}={digest}"
