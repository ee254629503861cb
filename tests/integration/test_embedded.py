"""The embedded nats-server: it starts, keeps what it acknowledged, and leaves nothing behind."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from nats.js.errors import APIError
from pydantic import SecretStr, ValidationError

from bridge.errors import ServerTooOldError
from bridge.server.binary import find_server_binary
from bridge.server.config import EmbeddedServerSettings, nats_conf_variables
from bridge.server.directory_lock import DirectoryLock
from bridge.server.embedded import EmbeddedServer
from bridge.server.errors import (
    DirectoryInUseError,
    PortInUseError,
    ServerBinaryNotFoundError,
    ServerStartError,
)
from bridge.server.users import ServerPasswords

REPOSITORY = Path(__file__).parents[2]
NATS_CONF = REPOSITORY / "nats.conf"

# A parent that starts a server, tells where it is, and never stops it.
PARENT = """
import asyncio, sys
from pathlib import Path
from bridge.server.embedded import EmbeddedServer

async def main():
    async with EmbeddedServer(Path(sys.argv[1])) as server:
        print(server.pid, server.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def connect(server):
    password = server.password.get_secret_value()
    return nats.connect(server.url, user=server.user, password=password, allow_reconnect=False)


def is_alive(pid):
    """Tell a living process from an absent one and from one that nobody has reaped yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def is_reaped(pid):
    return not Path(f"/proc/{pid}").exists()


def command_line(pid):
    return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")


def configuration_of(pid):
    command = command_line(pid)
    return Path(command[command.index("-c") + 1]).read_text()


def processes_with(argument):
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))
    try:
        return [command for command in commands if argument.encode() in command]
    except (FileNotFoundError, ProcessLookupError):
        # One ended while we looked; it may have been the one.
        return [b"unknown"]


async def answer_to(server, **credentials):
    """Say hello on a bare socket: a client library hides what the server answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert json.loads((await reader.readline()).removeprefix(b"INFO "))["auth_required"]
    writer.write(b"CONNECT " + json.dumps(credentials | {"verbose": False}).encode() + b"\r\n")
    writer.write(b"PING\r\n")
    answer = await reader.readline()
    writer.close()
    await asyncio.wait_for(reader.read(), 5)
    return answer.strip()


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_a_started_server_serves_jetstream_on_the_loopback_address(server):
    connection = await connect(server)
    account = await connection.jetstream().account_info()
    await connection.close()
    assert account.streams == 0
    assert server.url == f"nats://127.0.0.1:{server.port}"
    assert (server.data_dir / "jetstream").is_dir()


async def test_the_server_runs_the_nats_conf_of_the_repository(server):
    assert configuration_of(server.pid) == NATS_CONF.read_text()


async def test_stopping_leaves_no_process_and_no_zombie(tmp_path):
    async with EmbeddedServer(tmp_path) as server:
        pid = server.pid
    assert not server.is_running
    assert is_reaped(pid)


async def test_a_server_that_ignores_sigterm_is_killed_after_the_grace(tmp_path):
    settings = EmbeddedServerSettings(stop_grace_s=0.1)
    server = EmbeddedServer(tmp_path, settings)
    await server.start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    await server.stop()
    assert is_reaped(pid)


async def test_a_cancelled_stop_still_ends_the_server_and_frees_the_directory(tmp_path):
    server = EmbeddedServer(tmp_path)
    await server.start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    stopping = asyncio.create_task(server.stop())
    await asyncio.wait({stopping}, timeout=0.05)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert is_reaped(pid)
    await DirectoryLock(tmp_path).acquire(patience_s=0)


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.006, 0.01])
async def test_a_cancelled_start_leaves_nothing_running(tmp_path, after_s, eventually):
    server = EmbeddedServer(tmp_path)
    starting = asyncio.create_task(server.start())
    await asyncio.wait({starting}, timeout=after_s)
    starting.cancel()
    await asyncio.wait({starting})
    await server.stop()

    await eventually(lambda: not processes_with(server.server_name))
    await DirectoryLock(tmp_path).acquire()


async def test_a_killed_server_comes_back_with_its_messages_port_and_credentials(server):
    connection = await connect(server)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept"])
    acks = [await jetstream.publish("kept", b"%d" % n) for n in range(100)]
    await connection.close()
    before = (server.pid, server.port, server.password)

    await server.kill()
    assert not server.is_running
    await server.restart()

    assert (server.port, server.password) == before[1:]
    assert server.pid != before[0]
    connection = await connect(server)
    jetstream = connection.jetstream()
    kept = [(await jetstream.get_msg("KEPT", seq=ack.seq)).data for ack in acks]
    await connection.close()
    assert kept == [b"%d" % n for n in range(100)]


async def test_a_server_killed_by_someone_else_is_noticed_and_can_be_restarted(server):
    os.kill(server.pid, signal.SIGKILL)
    assert await asyncio.wait_for(server.wait(), 5) == -signal.SIGKILL
    assert not server.is_running
    await server.restart()
    await (await connect(server)).close()


async def test_a_second_start_in_the_same_directory_is_refused_and_names_the_holder(server):
    with pytest.raises(DirectoryInUseError, match=str(server.data_dir)) as refused:
        await EmbeddedServer(server.data_dir).start()
    assert refused.value.holder_pid == os.getpid()
    assert server.is_running


async def test_a_stopped_server_leaves_the_directory_to_the_next_one(tmp_path):
    async with EmbeddedServer(tmp_path):
        pass
    async with EmbeddedServer(tmp_path) as second:
        assert second.is_running


async def test_the_directory_stays_locked_while_the_server_lives_without_its_starter(tmp_path):
    server = EmbeddedServer(tmp_path)
    await server.start()
    server._lock.release()
    with pytest.raises(DirectoryInUseError):
        await DirectoryLock(tmp_path).acquire(patience_s=0)
    await server.stop()
    await DirectoryLock(tmp_path).acquire(patience_s=0)


async def test_a_taken_port_is_an_error_that_names_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        server = EmbeddedServer(tmp_path, EmbeddedServerSettings(port=port))
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{port} is in use") as refused:
            await server.start()
    assert refused.value.port == port
    assert not server.is_running
    await server.start()
    await server.stop()


async def test_a_port_of_another_nats_server_is_not_mistaken_for_ours(server, tmp_path):
    settings = EmbeddedServerSettings(port=server.port, user=server.user, password=server.password)
    with pytest.raises(PortInUseError):
        await EmbeddedServer(tmp_path / "other", settings).start()
    assert server.is_running


async def test_a_missing_binary_is_an_error_that_says_how_to_get_one(tmp_path, monkeypatch):
    with pytest.raises(ServerBinaryNotFoundError, match="absent"):
        await find_server_binary(tmp_path / "absent")

    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    data_dir = tmp_path / "data"
    with pytest.raises(ServerBinaryNotFoundError, match=re.escape("jetrun[embedded]")):
        await EmbeddedServer(data_dir).start()
    assert not data_dir.exists()


async def test_a_binary_on_path_serves_where_the_environment_has_none(tmp_path, monkeypatch):
    binary = script(tmp_path / "nats-server", "echo 'nats-server: v2.12.0'")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "scripts"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert await find_server_binary() == binary


async def test_an_old_server_is_refused_before_anything_is_created(tmp_path):
    binary = script(tmp_path / "nats-server", "echo 'nats-server: v2.11.9'")
    data_dir = tmp_path / "data"
    with pytest.raises(ServerTooOldError, match=r"2\.11\.9 .* 2\.12"):
        await EmbeddedServer(data_dir, EmbeddedServerSettings(binary=binary)).start()
    assert not data_dir.exists()


async def test_a_program_that_is_no_nats_server_is_refused(tmp_path):
    binary = script(tmp_path / "nats-server", "echo 'something else 3.0.0'")
    with pytest.raises(ServerBinaryNotFoundError, match="not a nats-server"):
        await find_server_binary(binary)


async def test_a_failed_start_shows_the_end_of_the_log_and_frees_the_directory(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "jetstream").write_text("a file where the store should be")
    server = EmbeddedServer(data_dir)
    with pytest.raises(ServerStartError, match="not a directory") as failed:
        await server.start()
    assert failed.value.log_path == server.log_path
    assert failed.value.log_tail in server.log_path.read_text()

    (data_dir / "jetstream").unlink()
    await server.start()
    await server.stop()


async def test_a_server_that_never_gets_ready_is_given_up_and_killed(tmp_path, eventually):
    pid_file = tmp_path / "pid"
    binary = script(
        tmp_path / "nats-server",
        f'[ "$1" = -v ] && echo "nats-server: v2.12.0" && exit\n'
        f"echo $$ > {pid_file}; echo still thinking >&2; exec sleep 60",
    )
    settings = EmbeddedServerSettings(binary=binary, start_timeout_s=0.3)
    with pytest.raises(ServerStartError, match="still thinking"):
        await EmbeddedServer(tmp_path / "data", settings).start()
    pid = int(pid_file.read_text())
    await eventually(lambda: not is_alive(pid))


async def test_nobody_gets_in_without_the_credentials(server):
    password = server.password.get_secret_value()
    refused = b"-ERR 'Authorization Violation'"
    assert await answer_to(server) == refused
    assert await answer_to(server, user=server.user, **{"pass": "guessed"}) == refused
    assert await answer_to(server, user="guessed", **{"pass": password}) == refused
    assert await answer_to(server, user=server.user, **{"pass": password}) == b"PONG"


async def test_the_password_shows_neither_in_the_process_list_nor_in_files_nor_in_repr(server):
    password = server.password.get_secret_value()
    command = " ".join(command_line(server.pid))
    assert "nats-server" in command
    assert password not in command
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert server.log_path in files
    assert not [path for path in files if password.encode() in path.read_bytes()]
    assert password not in repr(server.password)


async def test_each_server_has_a_password_of_its_own(tmp_path):
    first, second = EmbeddedServer(tmp_path / "1"), EmbeddedServer(tmp_path / "2")
    assert first.password.get_secret_value() != second.password.get_secret_value()


@pytest.mark.parametrize("password", ["12345", "2GiB", '"', "\\n", "$HOME", "a b # c // d", "{}';"])
async def test_a_given_password_is_taken_literally(tmp_path, password):
    settings = EmbeddedServerSettings(user="007", password=SecretStr(password))
    async with EmbeddedServer(tmp_path / "odd 'name' \"$x", settings) as server:
        connection = await connect(server)
        assert connection.is_connected
        await connection.close()
        assert (server.data_dir / "jetstream").is_dir()


@pytest.mark.parametrize("password", ["", "two\nlines", "$2a$11$looks.like.a.bcrypt.hash"])
def test_a_password_that_the_server_would_misread_is_refused(password):
    with pytest.raises(ValidationError):
        EmbeddedServerSettings(password=SecretStr(password))


async def test_limits_of_the_settings_reach_the_server(tmp_path):
    settings = EmbeddedServerSettings(
        max_payload_bytes=4096, max_file_store_bytes=1024 * 1024, sync_always=True
    )
    async with EmbeddedServer(tmp_path, settings) as server:
        connection = await connect(server)
        assert connection.max_payload == 4096
        with pytest.raises(APIError, match="insufficient storage"):
            await connection.jetstream().add_stream(
                name="BIG", subjects=["big"], max_bytes=2 * 1024 * 1024
            )
        await connection.close()


async def test_two_servers_run_side_by_side(server, tmp_path):
    async with EmbeddedServer(tmp_path / "second") as second:
        assert second.port != server.port
        assert second.pid != server.pid


@pytest.mark.parametrize("guard", ["kernel", "pipe"])
async def test_a_sigkilled_parent_leaves_no_orphan_and_a_usable_directory(tmp_path, guard):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    if guard == "pipe":
        # Without setpriv the guard falls back to what it does on systems that have none.
        environment["PATH"] = str(tmp_path)
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, tmp_path / "data"),
        stdout=subprocess.PIPE,
        env=environment,
    )
    pid, port = map(int, (await parent.stdout.readline()).split())
    with pytest.raises(DirectoryInUseError) as refused:
        await DirectoryLock(tmp_path / "data").acquire(patience_s=0)
    assert refused.value.holder_pid == parent.pid
    parent.kill()
    await parent.communicate()

    async with EmbeddedServer(tmp_path / "data", EmbeddedServerSettings(port=port)) as server:
        assert not is_alive(pid)
        await (await connect(server)).close()


@pytest.mark.parametrize("guard", ["kernel", "pipe"])
async def test_stop_kill_and_restart_work_with_either_guard(tmp_path, guard, monkeypatch):
    if guard == "pipe":
        monkeypatch.setattr("bridge.server.parent_guard._has_parent_death_signal", lambda: False)
    async with EmbeddedServer(tmp_path) as server:
        assert command_line(server.pid)[0].endswith("nats-server")
        await server.kill()
        await server.restart()
        await (await connect(server)).close()
    await DirectoryLock(tmp_path).acquire()


def variables_of_the_embedded_server(tmp_path):
    settings = EmbeddedServerSettings(user="jetrun")
    passwords = ServerPasswords.make(SecretStr("secret"))
    return nats_conf_variables(settings, tmp_path / "store", passwords)


async def check_configuration(variables):
    binary = await find_server_binary()
    return await asyncio.to_thread(
        subprocess.run,
        [binary, "-t", "-c", NATS_CONF],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_server_accepts_nats_conf(tmp_path):
    checked = await check_configuration(variables_of_the_embedded_server(tmp_path))
    assert checked.returncode == 0
    assert "is valid" in checked.stderr + checked.stdout


def test_nats_conf_refers_to_exactly_the_variables_that_are_set(tmp_path):
    text = re.sub(r'#.*|".*?"', "", NATS_CONF.read_text())  # a string refers to nothing
    assert set(re.findall(r"\$(\w+)", text)) == set(variables_of_the_embedded_server(tmp_path))


async def test_a_forgotten_variable_stops_the_server_and_is_named(tmp_path):
    variables = variables_of_the_embedded_server(tmp_path)
    del variables["NATS_PASSWORD"]
    checked = await check_configuration(variables)
    assert checked.returncode != 0
    assert "NATS_PASSWORD" in checked.stderr
