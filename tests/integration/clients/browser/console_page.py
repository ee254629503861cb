"""The console in a browser: what a person does there, and sees."""

from js_client import HERE

AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
WITHIN_MS = 15_000


class ConsolePage:
    """One tab; every wait ends after 15 s."""

    def __init__(self, page):
        self.page = page
        page.set_default_timeout(WITHIN_MS)

    @property
    def place(self):
        """The part of the address behind the hash."""
        return self.page.url.partition("#")[2]

    async def sees(self, selector, text=None):
        """Return the first element that fits, and holds the text, once it can be seen."""
        found = self.page.locator(selector, has_text=text).first
        await found.wait_for()
        return found

    async def sees_no(self, selector):
        await self.page.wait_for_function(
            "(selector) => document.querySelector(selector) === null", arg=selector
        )

    async def sees_count(self, selector, count):
        await self.page.wait_for_function(
            "([selector, count]) => document.querySelectorAll(selector).length === count",
            arg=[selector, count],
        )

    async def press(self, name):
        """Press the button of this name."""
        await self.page.get_by_role("button", name=name).first.click()

    async def texts(self, selector):
        return await self.page.locator(selector).all_inner_texts()

    async def numbers(self):
        """The numbers of the events that the timeline holds."""
        return await self.page.evaluate(
            "[...document.querySelectorAll('.event')].map((row) => Number(row.dataset.runSeq))"
        )

    async def overflow(self):
        """How many pixels the page is wider than its window."""
        return await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    async def faults(self):
        """What axe-core finds serious or worse: rules, and where they are broken."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            (each["id"], [node["target"] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
