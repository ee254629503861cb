"""Each way to prove to a real nats-server who asks, and to be sure of whom one asks."""

import asyncio
from contextlib import AsyncExitStack

import nkeys
import pytest
from certificates import Authority
from decentralized import Issued, new_key, public, seed_of
from pydantic import ValidationError

from bridge import (
    AccessDeniedError,
    BridgeSettings,
    CredentialsUnusableError,
    JetStreamBridge,
    NatsSettings,
)
from bridge.server.binary import find_server_binary
from bridge.server.free_port import pick_free_port


@pytest.fixture
async def start_server(tmp_path, eventually):
    """Start servers with a configuration; they end with the test: ``await start_server(text)``."""
    async with AsyncExitStack() as stack:

        async def start(configuration):
            port = pick_free_port("127.0.0.1")
            path, log = tmp_path / "server.conf", tmp_path / "server.log"
            path.write_text(
                f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{tmp_path}/store" }}\n'
                f"{configuration}\n"
            )
            process = await asyncio.create_subprocess_exec(
                await find_server_binary(), "-c", path, "-l", log
            )
            stack.push_async_callback(ended, process)
            await eventually(lambda: log.exists() and "Server is ready" in log.read_text())
            return f"127.0.0.1:{port}"

        yield start


async def ended(process):
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
def works():
    """Create a run and read it with some settings: ``await works(url=..., token=...)``."""

    async def works(**nats):
        settings = BridgeSettings(nats=NatsSettings(**nats))
        async with JetStreamBridge(settings) as bridge:
            await bridge.create("run-1", thread_id="thread-1")
            return (await bridge.status("run-1")).event_count == 1

    return works


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


async def test_a_user_comes_in_with_a_password(start_server, works):
    host = await start_server("authorization { user: me, password: secret }")
    assert await works(url=f"nats://{host}", user="me", password="secret")
    for wrong in ({"user": "me", "password": "other"}, {"token": "secret"}, {}):
        with pytest.raises(AccessDeniedError):
            await works(url=f"nats://{host}", **wrong)


async def test_a_token_lets_in(start_server, works):
    host = await start_server("authorization { token: secret }")
    assert await works(url=f"nats://{host}", token="secret")
    with pytest.raises(AccessDeniedError):
        await works(url=f"nats://{host}", token="other")


async def test_the_seed_of_an_nkey_lets_in_and_never_leaves_the_process(start_server, works):
    mine, other = new_key(nkeys.PREFIX_BYTE_USER), new_key(nkeys.PREFIX_BYTE_USER)
    host = await start_server(f"authorization {{ users: [ {{ nkey: {public(mine)} }} ] }}")
    assert await works(url=f"nats://{host}", nkey=seed_of(mine))
    with pytest.raises(AccessDeniedError):
        await works(url=f"nats://{host}", nkey=seed_of(other))
    with pytest.raises(CredentialsUnusableError, match="nkey"):
        await works(url=f"nats://{host}", nkey="SUNOSEED")


async def test_a_file_of_credentials_lets_in(start_server, works, tmp_path):
    issued, other = Issued(), Issued()
    host = await start_server(issued.server)
    path = tmp_path / "user.creds"
    path.write_text(issued.credentials)
    assert await works(url=f"nats://{host}", credentials=path)
    path.write_text(other.credentials)
    with pytest.raises(AccessDeniedError):
        await works(url=f"nats://{host}", credentials=path)
    path.write_text("no credentials")
    with pytest.raises(AccessDeniedError, match="holds none"):
        await works(url=f"nats://{host}", credentials=path)


async def test_the_server_must_show_a_certificate_that_is_trusted(
    start_server, works, authority, tmp_path
):
    certificate, key = authority.sign("server")
    host = await start_server(f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    assert await works(url=f"tls://{host}", tls_ca=authority.ca)
    assert await works(url=f"nats://{host}", tls_ca=authority.ca)
    for stranger in ({}, {"tls_ca": Authority(tmp_path / "other").ca}):
        with pytest.raises(AccessDeniedError, match="TLS"):
            await works(url=f"tls://{host}", **stranger)


async def test_a_client_shows_its_certificate_where_the_server_asks_for_one(
    start_server, works, authority
):
    certificate, key = authority.sign("server")
    host = await start_server(
        f'tls {{ cert_file: "{certificate}", key_file: "{key}", '
        f'ca_file: "{authority.ca}", verify: true }}'
    )
    own, own_key = authority.sign("client")
    assert await works(url=f"tls://{host}", tls_ca=authority.ca, tls_cert=own, tls_key=own_key)
    with pytest.raises(AccessDeniedError):
        await works(url=f"tls://{host}", tls_ca=authority.ca)


async def test_nothing_is_said_in_clear_text_where_tls_is_wanted(start_server, works, authority):
    host = await start_server("authorization { user: me, password: secret }")
    credentials = {"user": "me", "password": "secret"}
    with pytest.raises(AccessDeniedError, match="no TLS"):
        await works(url=f"tls://{host}", **credentials)
    with pytest.raises(AccessDeniedError, match="no TLS"):
        await works(url=f"nats://{host}", tls_ca=authority.ca, **credentials)


async def test_files_that_are_none_of_what_they_should_be_are_named(works, authority, tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(CredentialsUnusableError, match="TLS"):
        await works(url="tls://127.0.0.1:4222", tls_ca=broken)
    with pytest.raises(ValidationError, match="does not point to a file"):
        NatsSettings(credentials=tmp_path / "absent.creds")
    with pytest.raises(ValidationError, match="belong together"):
        NatsSettings(tls_cert=authority.ca)
    with pytest.raises(ValidationError, match="exclude each other"):
        NatsSettings(user="me", password="secret", token="other")
