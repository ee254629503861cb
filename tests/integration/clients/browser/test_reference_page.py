"""The reference page in a real browser: styled under its own policy, complete without a script."""


async def test_the_page_is_styled_and_unfolds_under_its_policy(gateway, browser):
    complaints, asked = [], []
    page = await browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{gateway.url}/docs")
    width = "getComputedStyle(document.body).maxWidth"
    assert await page.evaluate(width) not in ("none", "")
    operation = page.locator("#post_threads_thread_id_runs")
    parameter = operation.get_by_text("idempotency-key", exact=True)
    assert not await parameter.is_visible()
    await operation.locator("summary").click()
    assert await parameter.is_visible()
    await operation.get_by_role("link", name="RunCreate").click()
    assert page.url.endswith("#RunCreate")
    assert complaints == []
    assert [url for url in asked if "/docs" not in url] == []
