"""A page of the tests, as a person uses it."""

from urllib.parse import parse_qs, urlsplit


class ThreadPage:
    """What a person does on the page, and sees."""

    def __init__(self, page):
        self._page = page

    async def press(self, name):
        await self._page.click(f"#{name}")

    async def read(self, name):
        return await self._page.text_content(f"#{name}")

    async def shows(self, name, text):
        """Return when the element holds the text."""
        await self._page.wait_for_function(
            "([id, text]) => document.getElementById(id)?.textContent === text",
            arg=[name, text],
            timeout=30_000,
        )

    async def says(self, name, part):
        """Return when the element's text has that part."""
        await self._page.wait_for_function(
            "([id, part]) => document.getElementById(id)?.textContent.includes(part)",
            arg=[name, part],
            timeout=30_000,
        )

    async def has_seen(self, count):
        """Return when so many events were seen."""
        await self._page.wait_for_function(
            "(count) => document.getElementById('numbers')?.textContent.split(' ').length >= count",
            arg=count,
            timeout=30_000,
        )

    async def numbers(self):
        return [int(number) for number in (await self.read("numbers")).split()]

    @property
    def thread_id(self):
        return parse_qs(urlsplit(self._page.url).query)["thread"][0]

    async def reload(self):
        await self._page.reload()
        await self._page.wait_for_selector("#submit")
