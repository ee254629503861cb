"""Why a request is not served for who sent it, and why a command on keys cannot be done."""

from collections.abc import Iterable
from typing import Final

from api.auth.caller import Scope
from api.errors import GatewayError
from api.startup_errors import StartupError

_REALM: Final = 'Bearer realm="jetrun"'


class NotAuthenticatedError(GatewayError):
    """The request carries no credential; nothing was done.

    Attributes:
        challenge: What ``WWW-Authenticate`` says.
    """

    code = "not-authenticated"
    challenge = _REALM

    def __init__(self) -> None:
        super().__init__(
            "this gateway wants to know who calls: send x-api-key or Authorization: Bearer"
        )


class CredentialRefusedError(GatewayError):
    """The credential proves nothing: it is unknown, revoked, expired, forged, or for others."""

    code = "credential-refused"
    challenge = f'{_REALM}, error="invalid_token"'

    def __init__(self, reason: str) -> None:
        super().__init__(f"the credential is refused: {reason}")


class CredentialEndedError(GatewayError):
    """The credential that opened a stream has expired, or was taken back; the run goes on."""

    code = "credential-ended"
    challenge = f'{_REALM}, error="invalid_token"'

    def __init__(self) -> None:
        super().__init__("the credential that opened this has ended; come again with another one")


class ScopeMissingError(GatewayError):
    """The caller is known, and its credential does not allow this call; nothing was done."""

    code = "scope-missing"

    def __init__(self, missing: Iterable[Scope]) -> None:
        names = " ".join(sorted(missing))
        super().__init__(f"the credential lacks the scope {names}")
        self.challenge = f'{_REALM}, error="insufficient_scope", scope="{names}"'


class OperatorsOnlyError(GatewayError):
    """The caller is a user, and what the route tells is of all users; nothing was done."""

    code = "operators-only"

    def __init__(self) -> None:
        super().__init__("this is for operators; a key made with --operator may ask it")


class SigningKeysUnavailableError(GatewayError):
    """The keys that sign tokens cannot be fetched; nothing was done."""

    code = "signing-keys-unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the keys that sign tokens cannot be fetched at this moment; try again")


#: What is answered by telling the client which credential would do.
ChallengeError = (
    NotAuthenticatedError | CredentialRefusedError | CredentialEndedError | ScopeMissingError
)


class ApiKeyNotFoundError(StartupError):
    """No API key has this id: it never existed, or was revoked."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no API key {key_id}; `jetrun keys list` shows those that exist")
        self.key_id = key_id


class InvalidApiKeyRequestError(StartupError):
    """A key cannot be made as it was asked for; nothing was stored."""
