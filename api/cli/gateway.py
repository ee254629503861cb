"""How commands ask a gateway: options that say which, requests, and refusals with a next step."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

import aiohttp
import typer

from api.auth.authentication import API_KEY_HEADER
from api.cli.options import Command, replace_parameter
from api.cli.waiting import finished
from api.client import GatewayRequestError, refusal

DEFAULT_URL: Final = "http://127.0.0.1:2024"
#: A deletion or a cancel waits for a worker.
_TIMEOUT_S: Final = 60.0
_NO_CONTENT: Final = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})

_UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help=f"The gateway; {DEFAULT_URL} without it.")
]
_KeyOption = Annotated[
    str | None,
    typer.Option(envvar="LANGGRAPH_API_KEY", help="For a gateway that wants to know who asks."),
]
_NEXT_STEPS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "pass --api-key; an operator makes one with `jetrun keys create`",
    HTTPStatus.FORBIDDEN: "ask an operator for a key with that scope (`jetrun keys create`)",
    HTTPStatus.NOT_FOUND: "see what there is with `jetrun runs list` or `jetrun threads list`",
    HTTPStatus.CONFLICT: "look at it with `jetrun runs show`",
    HTTPStatus.UNPROCESSABLE_ENTITY: "correct it and call again",
}
_AGAIN: Final = "try again; if that does not help, see the gateway's log and /readyz"


class Gateway(NamedTuple):
    """A gateway, and who asks.

    Attributes:
        url: Its root, without a slash at the end.
        headers: That say who asks.
    """

    url: str
    headers: Mapping[str, str]

    def ask(
        self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request and return the JSON of the answer; None when it has none.

        Args:
            method: Of HTTP.
            path: Below the gateway's root.
            body: Sent as JSON, unless None.
            params: Of the query.

        Raises:
            GatewayRequestError: It refused, or did not answer; it says what to do next.
            typer.Exit: The command was interrupted.
        """
        return finished(self._ask_alone(method, path, body, params))

    async def _ask_alone(
        self, method: str, path: str, body: Any, params: Mapping[str, str] | None
    ) -> Any:
        async with self.session() as session:
            return await self.send(session, method, path, body, params)

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """Open a session for many requests."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session:
            yield session

    async def send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request in a session; as :meth:`ask`."""
        url = f"{self.url}{path}"
        try:
            async with session.request(method, url, json=body, params=params) as response:
                if not response.ok:
                    refused = await refusal(response)
                    step = _NEXT_STEPS.get(response.status, _AGAIN)
                    raise GatewayRequestError(
                        url, f"{refused.reason}; {step}", status=refused.status, code=refused.code
                    )
                return None if response.status in _NO_CONTENT else await response.json()
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as exc:
            raise GatewayRequestError(url, "is no http:// or https:// URL; correct --url") from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            reason = str(exc) or type(exc).__name__
            step = "start one with `jetrun serve`, or name another with --url"
            raise GatewayRequestError(url, f"no gateway answers ({reason}); {step}") from exc


def with_gateway(command: Command) -> Command:
    """Give a command the options ``--url`` and ``--api-key``.

    Args:
        command: Has a parameter ``gateway``, which gets the :class:`Gateway`.
    """

    def make(url: str | None, api_key: str | None) -> Gateway:
        headers = {} if api_key is None else {API_KEY_HEADER: api_key}
        return Gateway((url or DEFAULT_URL).rstrip("/"), headers)

    return replace_parameter(command, "gateway", {"url": _UrlOption, "api_key": _KeyOption}, make)
