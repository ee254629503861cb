"""Sites of another origin than the gateway's, whose pages the browser opens."""

import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from js_client import HERE, NODE

PAGES = Path(__file__).with_name("page")


def bundle(sdk, into):
    """Write the page, built with one version of the SDK, into a directory."""
    subprocess.run(
        [
            NODE,
            HERE / "node_modules" / "esbuild" / "bin" / "esbuild",
            PAGES / "app.jsx",
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            '--define:process.env.NODE_ENV="production"',
            f"--alias:sdk={sdk}",
            f"--outfile={into / 'app.js'}",
            "--log-level=warning",
        ],
        cwd=HERE,
        check=True,
        timeout=60,
    )
    for page in PAGES.glob("*.html"):
        shutil.copy(page, into)


@asynccontextmanager
async def serve_files(directory: Path):
    """Serve a directory on a port of its own; yields the site's URL."""
    app = web.Application()
    app.router.add_static("/", directory)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
