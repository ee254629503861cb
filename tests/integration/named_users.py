"""Users that a header names, for tests of what belongs to whom; without it an operator asks."""

from contextlib import AsyncExitStack, asynccontextmanager

from langgraph_sdk import get_client

from api.auth.caller import ALL_SCOPES, Caller, Role

USER = "X-Test-User"


async def authenticate(request):
    user = request.headers.get(USER)
    role = Role.OPERATOR if user is None else Role.USER
    return Caller(user, role, ALL_SCOPES, "test")


@asynccontextmanager
async def opened_clients(url):
    """Open clients of the SDK: ``await connect("her")``; they close with the context."""
    async with AsyncExitStack() as stack:

        async def connect(user=None, url=url):
            headers = {} if user is None else {USER: user}
            client = get_client(url=url, api_key=None, headers=headers)
            return await stack.enter_async_context(client)

        yield connect
