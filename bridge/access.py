"""How a connection proves who it is, whom it believes, and where it is answered."""

import binascii
import re
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import nkeys  # type: ignore[import-untyped]
from nats.errors import InvalidUserCredentialsError
from pydantic import SecretStr

from bridge.errors import CredentialsUnusableError
from bridge.settings import NatsSettings

#: What a user's name must be to be a token of its inbox.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
_INBOX: Final = "_INBOX"
_JWT: Final = re.compile(rb"BEGIN NATS USER JWT-+\s+(\S+)")
_SEED: Final = re.compile(rb"BEGIN USER NKEY SEED-+\s+(\S+)")
_NO_SEED: Final = (nkeys.NkeysError, binascii.Error, ValueError)


def access_options(settings: NatsSettings) -> dict[str, Any]:
    """Return what nats-py is told of credentials and certificates.

    A file of credentials is read at each reconnect, so that a renewed one is used without a
    restart; certificates are read here, once.

    Raises:
        CredentialsUnusableError: A file, or the seed, is not what it should be.
    """
    secrets = {"password": settings.password, "token": settings.token}
    options: dict[str, Any] = {
        "user": settings.user,
        **{name: each.get_secret_value() for name, each in secrets.items() if each},
        "inbox_prefix": inbox_prefix(settings.user),
    }
    if settings.nkey is not None:
        options["nkeys_seed_str"] = _checked_seed(settings.nkey)
    if settings.credentials is not None:
        file = CredentialsFile(settings.credentials)
        options |= {"user_jwt_cb": file.jwt, "signature_cb": file.sign}
    if wants_tls(settings):
        options["tls"] = _tls_context(settings)
    return options


def wants_tls(settings: NatsSettings) -> bool:
    """Return whether a connection in clear text is none: credentials would go over it."""
    urls = (url.strip() for url in settings.url.split(","))
    named = settings.tls_ca is not None or settings.tls_cert is not None
    return named or any(url.startswith("tls://") for url in urls)


def inbox_prefix(user: str | None) -> str:
    """Return what the subjects of answers begin with: a user's name is a part of it.

    So permissions can keep the users of one account from reading each other's answers.
    """
    return f"{_INBOX}.{user}" if user and _TOKEN.fullmatch(user) else _INBOX


class CredentialsFile:
    """A user's JWT and the seed that belongs to it, as ``nsc`` writes them.

    Read here and not by nats-py 2.16, which does not survive a file that is just being replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def jwt(self) -> bytearray:
        """Return the JWT as the file has it now.

        Raises:
            InvalidUserCredentialsError: It has none.
            OSError: It cannot be read.
        """
        return bytearray(self._find(_JWT))

    def sign(self, nonce: str) -> bytes:
        """Sign what the server made up, with the seed as the file has it now.

        Raises:
            InvalidUserCredentialsError: It has none.
            OSError: It cannot be read.
        """
        try:
            key = nkeys.from_seed(bytearray(self._find(_SEED)))
        except _NO_SEED as error:
            raise InvalidUserCredentialsError from error
        return b64encode(key.sign(nonce.encode()))

    def _find(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.search(self._path.read_bytes())
        if found is None:
            raise InvalidUserCredentialsError
        return found[1]


def _checked_seed(seed: SecretStr) -> str:
    text = seed.get_secret_value().strip()
    try:
        nkeys.from_seed(bytearray(text.encode())).wipe()
    except _NO_SEED as error:
        raise CredentialsUnusableError("the nkey is not the seed of one") from error
    return text


def _tls_context(settings: NatsSettings) -> ssl.SSLContext:
    try:
        # With an authority of one's own, those that the system trusts are not asked.
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl's errors are, too
        raise CredentialsUnusableError(f"the TLS files cannot be used: {error}") from error
    return context
