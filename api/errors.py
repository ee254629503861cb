"""Every error that the HTTP side itself raises; what status each one gets is in problems.py."""

from typing import ClassVar


class GatewayError(Exception):
    """Base of what the gateway refuses or breaks off by itself; nothing was stored."""

    code: ClassVar[str] = "gateway"
    retryable: ClassVar[bool] = False


class InvalidJsonError(GatewayError):
    """The body is not JSON."""

    code = "invalid-json"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body is not JSON: {reason}")


class InvalidRequestError(GatewayError):
    """The body or the query does not have the expected form; the message names the place."""

    code = "invalid-request"


class ContradictoryOptionsError(GatewayError):
    """Two options exclude each other."""

    code = "contradictory-options"

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second} exclude each other; give one of them")


class TooManyStreamsError(GatewayError):
    """This process holds as many long answers as it may; another one, or a later try, can help."""

    code = "too-many-streams"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams are open, the limit of this gateway; try again")
        self.limit = limit


class GatewayClosingError(GatewayError):
    """This process is about to end; go on at another one."""

    code = "gateway-closing"
    retryable = True

    def __init__(self) -> None:
        super().__init__("this gateway is shutting down; try again")
