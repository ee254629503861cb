"""Read what a gateway says instead of doing what it was asked for."""

from typing import Final

import aiohttp

from api.client.errors import GatewayRequestError

#: What no repeat can help.
HOPELESS: Final = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)


def no_address(url: str) -> GatewayRequestError:
    """Return what is told where a URL is none."""
    return GatewayRequestError(url, "is no http:// or https:// URL")


async def refusal(response: aiohttp.ClientResponse) -> GatewayRequestError:
    """Return what a problem document says, as an error; also of an answer that is none."""
    try:
        problem = await response.json(content_type=None)
    except ValueError:
        problem = None
    told = problem if isinstance(problem, dict) else {}
    return GatewayRequestError(
        str(response.url),
        f"{response.status} {told.get('detail') or response.reason}",
        status=response.status,
        code=told.get("code"),
    )
