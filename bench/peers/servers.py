"""The servers that are measured, each with the same graph, on 127.0.0.1."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import httpx

from bench.peers.descent import signal_all, with_descendants

_HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = _HERE.parents[1] / ".venv-peers"
_GRAPH: Final = _HERE / "graph"
_GRAPH_ID: Final = "measured"
_START_S: Final = 90.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.2
_POSTGRES: Final = Path("/usr/lib/postgresql")
_POSTGRES_USER: Final = "postgres"


class Server(NamedTuple):
    """One that runs: where it is asked, and the processes that it began with."""

    url: str
    process_ids: tuple[int, ...]


#: Runs a server on an empty directory for the length of a context.
Serve: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Server]]


def servers() -> dict[str, Serve]:
    """Return the servers that this machine can run, ours first."""
    found: dict[str, Serve] = {"jetrun": jetrun}
    if (ENVIRONMENT / "bin/langgraph").exists():
        found["langgraph dev"] = langgraph_dev
    if (ENVIRONMENT / "bin/aegra").exists() and _postgres_programs() is not None:
        found["aegra"] = aegra
    return found


@asynccontextmanager
async def jetrun(directory: Path) -> AsyncGenerator[Server]:
    """NATS server, gateway, worker and sink, as a newcomer starts them."""
    port = _free_port()
    command = [Path(sys.executable).with_name("jetrun"), "serve", "--port", str(port)]
    command += ["--config", _GRAPH / "langgraph.json", "--data", directory / "data"]
    async with _running(command, port, directory) as server:
        yield server


@asynccontextmanager
async def langgraph_dev(directory: Path) -> AsyncGenerator[Server]:
    """The platform's development server, which keeps everything in memory."""
    port = _free_port()
    here = Path(shutil.copytree(_GRAPH, directory / "graph"))
    command = [ENVIRONMENT / "bin/langgraph", "dev", "--no-browser", "--no-reload"]
    command += ["--port", str(port), "--n-jobs-per-worker", "10", "--server-log-level", "ERROR"]
    without_calls_home = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    async with _running(command, port, here, without_calls_home) as server:
        yield server


@asynccontextmanager
async def aegra(directory: Path) -> AsyncGenerator[Server]:
    """A free server on PostgreSQL, which runs beside it."""
    port = _free_port()
    here = Path(shutil.copytree(_GRAPH, directory / "graph"))
    graphs = json.loads((_GRAPH / "langgraph.json").read_text())["graphs"]
    config = {"graphs": {name: graph["path"] for name, graph in graphs.items()}}
    (here / "aegra.json").write_text(json.dumps(config))
    command = [ENVIRONMENT / "bin/aegra", "serve", "--host", "127.0.0.1", "--port", str(port)]
    async with _postgres(directory / "postgres") as database:
        environment = {"DATABASE_URL": database.url, "AUTH_TYPE": "noop"}
        async with _running([*command, "-c", "aegra.json"], port, here, environment) as server:
            yield Server(server.url, server.process_ids + database.process_ids)


def _postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, where Debian puts them."""
    return max(_POSTGRES.glob("*/bin"), default=None)


@asynccontextmanager
async def _postgres(directory: Path) -> AsyncGenerator[Server]:
    """Run a PostgreSQL on an empty directory; its URL is that of its database."""
    programs, port = _postgres_programs(), _free_port()
    assert programs is not None
    user = _hand_over(directory)
    data = directory / "data"
    initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres"]
    made = await asyncio.create_subprocess_exec(*initdb, user=user, stdout=DEVNULL, cwd=directory)
    assert await made.wait() == 0, "initdb failed"
    command = [programs / "postgres", "-D", data, "-p", str(port), "-k", directory]
    command += ["-c", "listen_addresses=127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        *command, user=user, stdout=DEVNULL, stderr=DEVNULL, cwd=directory
    )
    try:
        await _wait_until_taken(port, process)
        yield Server(f"postgresql://postgres@127.0.0.1:{port}/postgres", (process.pid,))
    finally:
        await _stop(process)


def _hand_over(directory: Path) -> str | None:
    """Make a directory for the user that PostgreSQL runs as, and return who that is."""
    directory.mkdir()
    if os.geteuid() != 0:
        return None
    # It refuses to run as root; Debian's package makes a user for it.
    shutil.chown(directory, _POSTGRES_USER)
    for parent in directory.parents:
        if parent.owner() == "root" and not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    return _POSTGRES_USER


@asynccontextmanager
async def _running(
    command: Sequence[str | Path],
    port: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Server]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(environment or {})},
        stdout=DEVNULL,
        stderr=DEVNULL,
        cwd=directory,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _wait_until_taken(port, process)
        async with asyncio.timeout(_START_S), httpx.AsyncClient(base_url=url) as client:
            while not await _knows_the_graph(client):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(_POLL_S)
        yield Server(url, (process.pid,))
    finally:
        await _stop(process)


async def _knows_the_graph(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.post("/assistants/search", json={"graph_id": _GRAPH_ID})
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json())


async def _wait_until_taken(port: int, process: Process) -> None:
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                return
    msg = f"a server ended with status {process.returncode} before it listened"
    raise RuntimeError(msg)


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    started = with_descendants([process.pid]) - {process.pid}
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    signal_all(started, signal.SIGKILL)  # some leave behind what they started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
