"""What a webhook's URL may look like, before anybody asks where its host is."""

from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from runs import WebhookRefusedError

MAX_URL: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_ANY_SUBDOMAIN: Final = "*."


class Place(NamedTuple):
    """Where a URL leads."""

    host: str
    port: int


class UrlRules(NamedTuple):
    """What is demanded of URLs beside that they can be called at all.

    Attributes:
        requires_https: Whether ``http`` is refused.
        domains: Hosts, or ``*.`` and a domain for all hosts below it, not itself; none: any.
        ports: None: any.
        max_length: Of a URL, in characters.
    """

    requires_https: bool = False
    domains: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    max_length: int = MAX_URL

    def check(self, url: str) -> Place:
        """Return where a URL leads.

        Raises:
            WebhookRefusedError: It breaks a rule; the error says which.
        """
        if len(url) > self.max_length:
            raise WebhookRefusedError(f"its URL is longer than {self.max_length} characters")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise WebhookRefusedError("its URL must be printable ASCII without spaces")
        try:
            parts = urlsplit(url)
            place = Place(_host_of(parts), parts.port or _PORTS[parts.scheme])
        except ValueError as exc:
            if isinstance(exc, WebhookRefusedError):
                raise
            raise WebhookRefusedError("its URL cannot be read") from exc
        self._check_allowed(parts.scheme, place)
        return place

    def _check_allowed(self, scheme: str, place: Place) -> None:
        if self.requires_https and scheme != "https":
            raise WebhookRefusedError("its URL must begin with https://")
        host = place.host.lower().removesuffix(".")
        if self.domains and not any(_covers(each.lower(), host) for each in self.domains):
            raise WebhookRefusedError("its host is not one of those that may be called")
        if self.ports and place.port not in self.ports:
            raise WebhookRefusedError("its port is not one of those that may be called")


def _covers(domain: str, host: str) -> bool:
    if domain.startswith(_ANY_SUBDOMAIN):
        return host.endswith(domain.removeprefix("*"))
    return host == domain


def _host_of(parts: SplitResult) -> str:
    if parts.scheme not in _PORTS:
        raise WebhookRefusedError("its URL must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise WebhookRefusedError("its URL must not hold a user name or password")
    if not parts.hostname:
        raise WebhookRefusedError("its URL names no host")
    return parts.hostname
