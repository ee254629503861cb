"""Why a limit refused a client; nothing was stored. What status each one gets is in problems.py."""

from api.errors import GatewayError


class MalformedRequestError(GatewayError):
    """What came is no HTTP request; the connection is closed."""

    code = "malformed-request"

    def __init__(self) -> None:
        super().__init__("this is no sound HTTP/1.1 request; the connection is closed")


class UrlTooLongError(GatewayError):
    """The URL exceeds the limit; the connection is closed."""

    code = "url-too-long"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the URL exceeds the limit of {limit_bytes} bytes; send less in its query"
        )


class HeadersTooLargeError(GatewayError):
    """A header is too long, or there are too many of them; the connection is closed."""

    code = "headers-too-large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"the headers exceed the limit of {limit}; send fewer, or shorter ones")


class RequestTimeoutError(GatewayError):
    """A part of the request took too long to arrive; the connection is closed."""

    code = "request-timeout"
    retryable = True

    def __init__(self, part: str, limit_s: float) -> None:
        super().__init__(
            f"the request's {part} did not arrive within {limit_s:g} s; send it again, faster"
        )


class UnsupportedEncodingError(GatewayError):
    """The body is compressed in a way that is not read here."""

    code = "unsupported-encoding"

    def __init__(self) -> None:
        super().__init__("Content-Encoding can be gzip, deflate or identity, and only one of them")


class JsonTooDeepError(GatewayError):
    """Objects and arrays of the body stand too deep in each other."""

    code = "json-too-deep"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} objects and arrays inside each other")


class TooManyAddressConnectionsError(GatewayError):
    """One address holds as many connections as it may; closing some of them helps."""

    code = "too-many-address-connections"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} connections are open from this address, the limit; close some of them"
        )


class TooManyConnectionsError(GatewayError):
    """This process holds as many connections as it may; another one, or a later try, can help."""

    code = "too-many-connections"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} connections are open, the limit of this gateway; try again")


class TooManyBodiesError(GatewayError):
    """The bodies that are arriving take all the memory that they may; a later try can help."""

    code = "too-many-bodies"
    retryable = True

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the bodies that are arriving exceed {limit_bytes} bytes, the limit of this gateway; "
            "try again"
        )


class TooManyUserStreamsError(GatewayError):
    """A user holds as many streams and waits of this process as it may."""

    code = "too-many-user-streams"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams of this user are open, the limit; close some of them")


class TooManyEventsError(GatewayError):
    """Clients append to a run faster than they may; a later try can help."""

    code = "too-many-events"
    retryable = True

    def __init__(self, run_id: str, limit: int) -> None:
        super().__init__(
            f"more than {limit} events a second were appended to run {run_id}; append slower"
        )


class OverloadedError(GatewayError):
    """This process has so much to do that it takes nothing new; another one can help."""

    code = "overloaded"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"this gateway has too much to do: {reason}; try again")
