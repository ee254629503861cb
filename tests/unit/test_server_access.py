"""What tells commands of a running server is believed only while that server's process lives."""

import os

import pytest

from api.server_access import ACCESS_FILE, ServerAccess
from bridge.server.directory_lock import DirectoryLock, find_holder


@pytest.fixture
def lock(tmp_path):
    lock = DirectoryLock(tmp_path)
    yield lock
    lock.release()


def access(pid):
    return ServerAccess(
        url="nats://127.0.0.1:1", user="u", password="p", sync_always=False, pid=pid
    )


async def test_a_file_is_believed_while_its_writer_holds_the_directory(tmp_path, lock):
    access(os.getpid()).write(tmp_path)
    assert ServerAccess.find(tmp_path) is None
    await lock.acquire()
    assert ServerAccess.find(tmp_path) == access(os.getpid())
    lock.release()
    assert ServerAccess.find(tmp_path) is None


async def test_what_a_process_before_has_left_is_not_believed(tmp_path, lock):
    await lock.acquire()
    assert find_holder(tmp_path) == os.getpid()
    access(os.getpid() + 1).write(tmp_path)
    assert ServerAccess.find(tmp_path) is None
    access(os.getpid()).write(tmp_path)
    assert ServerAccess.find(tmp_path) is not None


async def test_a_file_that_is_none_or_half_one_is_nothing(tmp_path, lock):
    await lock.acquire()
    assert ServerAccess.find(tmp_path) is None
    (tmp_path / ACCESS_FILE).write_text('{"url": "nats://')
    assert ServerAccess.find(tmp_path) is None


def test_only_its_owner_can_read_it_and_it_replaces_what_was_there(tmp_path):
    (tmp_path / ACCESS_FILE).write_text("left")
    (tmp_path / ACCESS_FILE).chmod(0o644)
    access(1).write(tmp_path)
    assert (tmp_path / ACCESS_FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [ACCESS_FILE]
    ServerAccess.remove(tmp_path)
    ServerAccess.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []
