"""Read what a gateway says instead of doing what it was asked for."""

import aiohttp

from api.client.errors import GatewayRequestError


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
