"""Every error of the client, and what each one says of what was done."""


class GatewayRequestError(Exception):
    """The gateway did not answer a request, or refused it.

    After a refusal nothing was done. After an outage it may have been: the same call with the same
    key or event id does it once.

    Attributes:
        url: What was asked.
        reason: What went wrong, for people.
        status: The HTTP status of a refusal; ``None`` when nobody answered in time.
        code: The stable name of the problem, where the gateway told one.
    """

    def __init__(
        self, url: str, reason: str, *, status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason
        self.status = status
        self.code = code


class RunFailedError(Exception):
    """The run that was awaited did not succeed.

    Attributes:
        error: The class of its error, as its assistant raised it.
        message: What that says.
    """

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
