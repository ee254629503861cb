"""Webhooks are called until they are taken or have failed for good, on both managers."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from running import ProcessDiedError, die, ref, spec, succeed

from runs import (
    AssistantCatalog,
    DeliverySettings,
    RunManager,
    RunNotFoundError,
    UnsupportedOptionError,
    WebhookDeliveries,
    WebhookNotFoundError,
    WebhookRefusedError,
    WebhookSendError,
    WebhookStatus,
)

URL = "https://example.org/hook"
QUICK = DeliverySettings(max_attempts=3, backoff_s=0.02, max_backoff_s=0.1, lease_s=1)


class Policy:
    """Admits one URL."""

    async def check(self, url):
        if url != URL:
            raise WebhookRefusedError("as asked")


class Sender:
    """Notes what it is to send; fails as often as it is told."""

    def __init__(self):
        self.told = []
        self.failures = []

    async def send(self, url, notice):
        assert url == URL
        self.told.append(notice)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, BaseException):
                raise failure
            await failure()

    def statuses(self):
        return [notice.run.status.value for notice in self.told]


@pytest.fixture
def manager(bridge):
    return RunManager(bridge, AssistantCatalog(), webhooks=Policy())


class Webhooks:
    """Calls webhooks as gateways of their own do, and waits for what becomes of a call."""

    def __init__(self, connect, facade, eventually):
        self.sender = Sender()
        self._connect = connect
        self._facade = facade
        self._eventually = eventually

    @asynccontextmanager
    async def delivering(self, sender=None, **limits):
        bridge = await self._connect()
        manager = RunManager(bridge, AssistantCatalog())
        settings = QUICK.model_copy(update=limits)
        async with WebhookDeliveries(bridge, manager, sender or self.sender, settings).running():
            yield

    async def until(self, run, status):
        async def has_come():
            found = await self._facade.get_webhook(run.thread_id, run.run_id)
            return found if found.status is status else None

        return await self._eventually(has_come, within_s=15)


@pytest.fixture
def webhooks(connect, facade, eventually):
    return Webhooks(connect, facade, eventually)


async def test_a_finished_run_is_told_once_with_its_values(facade, bridge, thread, webhooks):
    run = await facade.create_background(spec(thread, webhook=URL, input="secret"))
    assert (await facade.get_webhook(thread, run.run_id)).status is WebhookStatus.WAITING
    async with webhooks.delivering(), webhooks.delivering():
        await succeed(bridge, facade, run, {"a": 1})
        told = await webhooks.until(run, WebhookStatus.DELIVERED)
        for _ in range(3):
            await facade.settle(thread, run.run_id)
    assert (told.attempts, told.error, told.run) == (1, None, None)
    (notice,) = webhooks.sender.told
    assert (notice.values, notice.has_lost_values, notice.attempt) == ({"a": 1}, False, 1)
    assert notice.run.run_id == run.run_id
    assert notice.run.kwargs == {}


async def test_runs_without_a_webhook_are_not_told(facade, bridge, thread, webhooks):
    async with webhooks.delivering():
        run = await facade.create_background(spec(thread))
        await succeed(bridge, facade, run, 1)
    assert webhooks.sender.told == []
    assert await bridge.states.keys("webhook") == []
    with pytest.raises(WebhookNotFoundError):
        await facade.get_webhook(thread, run.run_id)


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_that_is_stopped_before_it_began_is_told(
    facade, thread, eventually, action, webhooks
):
    run = await facade.create_background(spec(thread, webhook=URL))
    await facade.cancel(thread, run.run_id, action=action)
    async with webhooks.delivering():
        await eventually(lambda: webhooks.sender.told)
    assert webhooks.sender.statuses() == ["interrupted"]


async def test_a_call_that_fails_is_repeated_later_and_its_bound_is_kept(facade, thread, webhooks):
    webhooks.sender.failures = [WebhookSendError("one"), WebhookSendError("two")]
    runs = [await facade.create_background(spec(thread, webhook=URL)) for _ in range(2)]
    async with webhooks.delivering():
        await facade.cancel(thread, runs[1].run_id)
        assert (await webhooks.until(runs[1], WebhookStatus.DELIVERED)).attempts == 3
        webhooks.sender.failures = [WebhookSendError(f"no {n}") for n in range(9)]
        await facade.cancel(thread, runs[0].run_id)
        failed = await webhooks.until(runs[0], WebhookStatus.FAILED)
    assert (failed.attempts, failed.error, failed.run) == (3, "no 2", None)
    assert [notice.attempt for notice in webhooks.sender.told] == [1, 2, 3] * 2


async def test_a_failure_that_a_repeat_cannot_mend_is_not_repeated(facade, thread, webhooks):
    webhooks.sender.failures = [WebhookSendError("refused", is_final=True)]
    run = await facade.create_background(spec(thread, webhook=URL))
    await facade.cancel(thread, run.run_id)
    async with webhooks.delivering():
        failed = await webhooks.until(run, WebhookStatus.FAILED)
    assert (failed.attempts, failed.error) == (1, "refused")


async def test_a_call_that_a_gateway_gives_back_is_made_by_the_next_one(
    facade, thread, eventually, webhooks
):
    webhooks.sender.failures = [asyncio.Event().wait]
    run = await facade.create_background(spec(thread, webhook=URL))
    await facade.cancel(thread, run.run_id)
    async with webhooks.delivering(lease_s=60):
        await eventually(lambda: webhooks.sender.told)
    async with webhooks.delivering(lease_s=60):
        assert (await webhooks.until(run, WebhookStatus.DELIVERED)).attempts == 2


async def test_calls_that_crash_every_gateway_are_given_up(facade, thread, webhooks):
    """A crash is played by an error that nobody expects: the job is left, and its lease lapses."""
    webhooks.sender.failures = [ZeroDivisionError("as asked")] * 3
    run = await facade.create_background(spec(thread, webhook=URL))
    await facade.cancel(thread, run.run_id)
    async with webhooks.delivering(lease_s=0.2):
        failed = await webhooks.until(run, WebhookStatus.FAILED)
    assert failed.attempts == 3


async def test_a_slow_receiver_delays_neither_runs_nor_other_calls(
    facade, bridge, thread, eventually, webhooks
):
    release = asyncio.Event()
    webhooks.sender.failures = [release.wait]
    slow = await facade.create_background(spec(thread, webhook=URL))
    async with webhooks.delivering(lease_s=30):
        await facade.cancel(thread, slow.run_id)
        await eventually(lambda: webhooks.sender.told)
        run = await facade.create_background(spec(thread, webhook=URL))
        await succeed(bridge, facade, run, 1)
        await webhooks.until(run, WebhookStatus.DELIVERED)
        assert (await facade.get_webhook(thread, slow.run_id)).status is WebhookStatus.PENDING
        release.set()
        await webhooks.until(slow, WebhookStatus.DELIVERED)


WRITES = ["states.create", "jobs.put", "records.write_thread"]


@pytest.mark.parametrize("write", WRITES)
async def test_a_process_that_dies_while_it_announces_is_made_good_by_whoever_settles(
    facade, manager, bridge, thread, write, webhooks
):
    run = await facade.create_background(spec(thread, webhook=URL))
    await bridge.publish_end(run.run_id)
    where, name = write.split(".")
    target = manager.records if where == "records" else getattr(bridge, where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, die)
        with pytest.raises(ProcessDiedError):
            await facade.settle(thread, run.run_id)
    assert (await manager.records.find_run(run.run_id)).record.status.is_final
    async with webhooks.delivering():
        await manager.reconciler.repair(thread)
        await webhooks.until(run, WebhookStatus.DELIVERED)
    assert webhooks.sender.statuses() == ["success"]


async def test_values_that_left_the_log_are_said_to_be_lost(
    facade, bridge, thread, eventually, webhooks
):
    run = await facade.create_background(spec(thread, webhook=URL))
    await succeed(bridge, facade, run, {"a": 1})
    await bridge.trim(run.run_id, keep=1)
    async with webhooks.delivering():
        await eventually(lambda: webhooks.sender.told)
    (notice,) = webhooks.sender.told
    assert (notice.values, notice.has_lost_values) == (None, True)


async def test_a_deleted_run_is_told_and_leaves_nothing_behind(
    facade, bridge, thread, eventually, webhooks
):
    early = await facade.create_background(spec(thread, webhook=URL))
    late = await facade.create_background(spec(thread, webhook=URL))
    async with webhooks.delivering():
        await facade.cancel(thread, early.run_id)
        await webhooks.until(early, WebhookStatus.DELIVERED)
        assert await facade.delete_run(thread, early.run_id)
        assert await bridge.states.is_deleted("webhook", early.run_id)
    assert await facade.delete_run(thread, late.run_id)
    async with webhooks.delivering():
        await eventually(lambda: bridge.states.is_deleted("webhook", late.run_id), within_s=15)
    assert webhooks.sender.statuses() == ["interrupted"] * 2
    with pytest.raises(RunNotFoundError):
        await facade.get_webhook(thread, late.run_id)


async def test_a_refused_webhook_stores_nothing(facade, make_manager, bridge, thread):
    wanted = spec(thread, webhook="https://other.example/")
    for refused in (facade.create_background(wanted), facade.check(wanted)):
        with pytest.raises(WebhookRefusedError):
            await refused
    nobody_calls = await make_manager()
    with pytest.raises(UnsupportedOptionError, match="webhook"):
        await nobody_calls.create(spec(thread, webhook=URL))
    assert await bridge.states.keys("run") == []


async def test_the_thread_is_free_when_a_webhook_is_told(facade, manager, bridge, thread, webhooks):
    """Whoever announced it died before the thread was told."""

    class Looking(Sender):
        async def send(self, _, notice):
            seen.append((await facade.get_thread(thread)).active)
            seen.append((await facade.get_run(thread, notice.run.run_id)).status.value)

    seen = []
    run = await facade.create_background(spec(thread, webhook=URL))
    await manager.start(ref(run), "w", 1)
    await bridge.publish_end(run.run_id)
    ended = (await manager.records.find_run(run.run_id)).record
    await manager.webhooks.announce(ended)
    async with webhooks.delivering(Looking()):
        await webhooks.until(run, WebhookStatus.DELIVERED)
    assert seen == [None, "success"]
