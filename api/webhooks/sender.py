"""Call a webhook once: one POST, signed, bounded in time, to a judged address, without redirects.

Whatever else than a 2xx comes back is a failure. Of the answer nothing but its status is read.
Neither the address nor the secret is ever logged, nor part of an error.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from api.webhooks.address_policy import AddressPolicy
from api.webhooks.body import webhook_body
from api.webhooks.settings import WebhookSettings
from api.webhooks.signature import (
    ATTEMPT_HEADER,
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign,
)
from runs import Notice, WebhookRefusedError, WebhookSendError

_SUCCESS: Final = range(200, 300)


class HttpWebhookSender:
    """Calls webhooks; made by :func:`open_sender`.

    Args:
        session: Connects to judged addresses alone.
        policy: Judges URLs.
        settings: Signs the calls, bounds them and says what headers they carry.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        policy: AddressPolicy,
        settings: WebhookSettings,
    ) -> None:
        assert settings.secret is not None  # noqa: S101 - of the signature
        self._session = session
        self._policy = policy
        self._secret = settings.secret.get_secret_value()
        self._max_body_bytes = settings.max_body_bytes
        self._headers = {name: each.get_secret_value() for name, each in settings.headers.items()}

    async def send(self, url: str, notice: Notice) -> None:
        """Call once; see :meth:`runs.WebhookSender.send`."""
        try:
            await self._policy.check(url)
        except WebhookRefusedError as exc:
            raise WebhookSendError(str(exc), is_final=True) from exc
        try:
            status = await self._post(url, notice)
        except TimeoutError as exc:
            raise WebhookSendError("no answer in time") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            # The text of the error would show the address.
            raise WebhookSendError(f"the call failed: {type(exc).__name__}") from exc
        if status not in _SUCCESS:
            raise WebhookSendError(f"the answer was {status}")

    async def _post(self, url: str, notice: Notice) -> int:
        body = webhook_body(notice, self._max_body_bytes)
        timestamp = int(time.time())
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            ID_HEADER: notice.run.run_id,
            ATTEMPT_HEADER: str(notice.attempt),
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(self._secret, timestamp, body),
        }
        calling = self._session.post(url, data=body, headers=headers, allow_redirects=False)
        async with calling as answer:
            return answer.status


@asynccontextmanager
async def open_sender(
    settings: WebhookSettings, policy: AddressPolicy
) -> AsyncGenerator[HttpWebhookSender]:
    """Open what calls webhooks; ``settings`` must have a secret."""
    # A connection of its own for each call, so that each address is judged.
    connector = aiohttp.TCPConnector(
        socket_factory=policy.open_socket,
        use_dns_cache=False,
        force_close=True,
        limit=settings.max_concurrent,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
        headers={"User-Agent": "jetrun"},
    ) as session:
        yield HttpWebhookSender(session, policy, settings)
