"""Who takes too little of what waits is cut off; who has nothing to take is not."""

import asyncio
from types import SimpleNamespace

import pytest

from api.limits.stall_watch import StallWatch

LIMIT_S = 120


class Loop:
    """A loop whose time a test moves on."""

    now = 0.0
    timers = ()

    def time(self):
        return self.now

    def call_later(self, delay_s, callback):
        self.timers = (*self.timers, (self.now + delay_s, callback))
        return SimpleNamespace(cancel=lambda: None)

    def advance(self, seconds):
        self.now += seconds
        due = [callback for at, callback in self.timers if at <= self.now]
        self.timers = tuple(timer for timer in self.timers if timer[0] > self.now)
        for callback in due:
            callback()


class Client:
    """A connection, the writer of its answers, and whether it was cut off."""

    def __init__(self, loop, least_bytes):
        self.waiting = 0
        self.is_cut_off = False
        self._loop = loop
        self.watch = StallWatch(
            self, limit_s=LIMIT_S, least_bytes=least_bytes, on_stall=self.cut_off
        )

    def cut_off(self):
        self.is_cut_off = True

    def get_write_buffer_size(self):
        return self.waiting

    def answer(self, size):
        self.watch.follow(SimpleNamespace(output_size=size))
        self.waiting += size

    def take(self, size, every_s, times):
        for _ in range(times):
            self.waiting -= size
            self._loop.advance(every_s)


@pytest.fixture
def client(monkeypatch):
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return lambda least_bytes: Client(loop, least_bytes)


def test_who_takes_nothing_is_cut_off_also_when_its_answers_were_written_long_before(client):
    client = client(1)
    client.answer(1000)
    client.answer(1000)
    client.take(500, every_s=30, times=1)
    client.take(0, every_s=30, times=3)
    assert not client.is_cut_off
    client.take(0, every_s=30, times=1)
    assert client.is_cut_off


@pytest.mark.parametrize(("size", "is_cut_off"), [(100, True), (300, False)])
def test_who_takes_something_is_cut_off_if_that_is_too_little(client, size, is_cut_off):
    client = client(1000)
    client.answer(100_000)
    client.take(size, every_s=30, times=40)
    assert client.is_cut_off is is_cut_off


def test_who_has_taken_everything_may_be_silent(client):
    client = client(1000)
    client.answer(1000)
    client.take(1000, every_s=30, times=1)
    client.take(0, every_s=30, times=100)
    assert not client.is_cut_off
