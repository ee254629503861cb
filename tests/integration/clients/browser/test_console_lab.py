"""The reconnect lab in a real browser: whatever cuts a stream, what comes back is exact."""

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.usefixtures("worker")


def lab_place(run):
    return f"threads/{run.thread_id}/runs/{run.run_id}?tab=reconnect"


async def test_a_stream_that_is_cut_at_random_comes_back_exact(console, gateway, http, wire):
    run = await wire.create_run(gateway, http, input={"events": 40})
    page = await console(lab_place(run))
    await page.sees(".run-status", "success")
    await page.page.get_by_label("Where to cut").select_option("random")
    await page.press("Start")
    verdict = await page.sees(".verdict", "Exact")
    assert "43 events" in await verdict.inner_text()
    assert (await page.texts("reconnect-lab tbody td:last-child")) == ["cut here"] * 5 + ["ended"]


async def test_a_stream_is_exact_over_an_event_and_a_killed_gateway(
    open_console, settings, gateway, http, wire
):
    async with GatewayProcess(settings) as killable:
        run = await wire.create_run(gateway, http, input={"events": 100, "delay_s": 0.08})
        page = await open_console(killable.url, lab_place(run))
        await page.page.get_by_role("spinbutton", name="Number").fill("7")
        await page.press("Start")
        await page.sees("reconnect-lab tbody tr:nth-child(2)")
        await page.page.wait_for_function(
            "() => Number(document.querySelector('.verdict').textContent.split(' ')[0]) > 15"
        )
        await killable.kill()
        await page.sees("reconnect-lab tr[data-state=broken]")
        await killable.start()
        verdict = await page.sees(".verdict", "Exact")
        assert "103 events" in await verdict.inner_text()
        legs = await page.texts("reconnect-lab tbody td:nth-child(3)")
        assert legs[0] == "1 to 7"
        assert legs[1].startswith("8 to ")
        assert legs[-1].endswith(" to 103")
