"""The few requests that the demonstration makes, with their refusals as errors of its own."""

from typing import Any

import aiohttp

from api.client import GatewayRequestError, refusal

_OK = 200


async def post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send JSON and return the JSON object of the answer.

    Raises:
        GatewayRequestError: The gateway refused, or did not answer.
    """
    try:
        async with session.post(url, json=body) as response:
            if response.status != _OK:
                raise await refusal(response)
            answer: dict[str, Any] = await response.json()
            return answer
    except (aiohttp.ClientError, OSError) as exc:
        raise GatewayRequestError(url, str(exc) or type(exc).__name__) from exc
