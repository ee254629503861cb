"""Every error that the HTTP side itself raises; what status each one gets is in problems.py."""

from typing import ClassVar, Final

#: Characters of what a request says of itself, in a message.
_MAX_SHOWN: Final = 200


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


class OriginNotAllowedError(GatewayError):
    """A page of another origin asks to change something, and nobody is asked who calls."""

    code = "origin-not-allowed"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin[:_MAX_SHOWN]!r} may change nothing here; name the origin in "
            "JETRUN_HTTP__CORS_ORIGINS, or have callers authenticate"
        )


class HostNotAllowedError(GatewayError):
    """The request came by a name that another site's page can have made point to this machine."""

    code = "host-not-allowed"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this gateway serves its own machine, not {host[:_MAX_SHOWN]!r}; call it by address "
            "or as localhost, have callers authenticate, or set JETRUN_HTTP__ALLOW_UNAUTHENTICATED"
        )


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
