"""Write the document of default settings: ``python -m api.openapi docs/openapi.json``.

It is that of a gateway which runs for a moment, beside a server of its own.
"""

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from api.gateway import gateway_application
from api.openapi.routes import REFERENCE
from api.settings import Settings
from bridge import EmbeddedServer, NatsSettings


async def _document() -> str:
    with TemporaryDirectory() as directory:
        async with EmbeddedServer(Path(directory) / "nats") as server:
            nats = NatsSettings(url=server.url, user=server.user, password=server.password)
            settings = Settings(nats=nats, data=Path(directory))
            async with gateway_application(settings) as app:
                return json.dumps(app[REFERENCE].document, indent=2)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(_document()) + "\n")
