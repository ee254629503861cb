"""Read stored messages of one stream: single ones at the leader, history in bulk.

Decisions are made on what the leader says. Bulk history comes by batch Direct Get, which a lagging
replica may answer: a "nothing there" from it is confirmed at the leader. A server that is alone is
the leader of everything, and asked by Direct Get, which takes half the time. What a newer version
of jetrun stored is refused, not handed out.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from nats.aio.msg import Msg

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError
from bridge.nats_client import parse_header_lines
from bridge.outage import Outage
from bridge.replies import SilenceError

NOT_FOUND: Final = 10037
#: How a Direct Get says so.
_NOTHING: Final = "404"
MAX_PAGE_MESSAGES: Final = 500
MAX_PAGE_BYTES: Final = 4 << 20
MAX_SUBJECTS: Final = 512


class StoredMessage(NamedTuple):
    """One message as the stream holds it."""

    subject: str
    seq: int
    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a subject's history.

    ``complete`` says that nothing more was there when the page was read, as far as the answering
    replica knew.
    """

    messages: Sequence[StoredMessage]
    complete: bool


class StreamReader:
    """Reads one stream.

    Args:
        connection: An open connection.
        stream: The stream's name.
        max_concurrent_reads: Bulk reads at one time; more wait for their turn.
        timeout_s: Seconds without an answer after which a bulk read is asked again.
        any_version: Hand out messages of newer versions, too: whoever decodes them refuses them
            one by one. Else each method that meets one raises NewerVersionError.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        *,
        max_concurrent_reads: int,
        timeout_s: float,
        any_version: bool = False,
    ) -> None:
        self._connection = connection
        self._get = f"$JS.API.STREAM.MSG.GET.{stream}"
        self._direct = f"$JS.API.DIRECT.GET.{stream}"
        self._info = f"$JS.API.STREAM.INFO.{stream}"
        self._purge = f"$JS.API.STREAM.PURGE.{stream}"
        self._slots = asyncio.Semaphore(max_concurrent_reads)
        self._timeout_s = timeout_s
        self._any_version = any_version

    async def find(self, seq: int) -> StoredMessage | None:
        """Return the message with a sequence, as the leader knows it."""
        return await self._leader({"seq": seq})

    async def find_last(self, subject: str) -> StoredMessage | None:
        """Return the newest message of a subject, as the leader knows it."""
        return await self._leader({"last_by_subj": subject})

    async def find_next(self, subject: str, seq: int) -> StoredMessage | None:
        """Return the first message of a subject at or above ``seq``, as the leader knows it."""
        return await self._leader({"seq": seq, "next_by_subj": subject})

    async def _leader(self, query: Mapping[str, Any]) -> StoredMessage | None:
        if self._connection.is_alone:
            message = await self._ask_for_one(query)
        else:
            message = await self._ask_leader(query)
        return None if message is None else self._checked(message)

    async def _ask_leader(self, query: Mapping[str, Any]) -> StoredMessage | None:
        try:
            answer = await self._connection.api(self._get, query)
        except ApiError as error:
            if error.err_code == NOT_FOUND:
                return None
            raise
        message = answer["message"]
        return StoredMessage(
            message["subject"],
            message["seq"],
            # As a Direct Get tells it.
            {**_headers(b64decode(message.get("hdrs", ""))), wire.STORED_AT: message["time"]},
            b64decode(message.get("data", "")),
        )

    async def _ask_for_one(self, query: Mapping[str, Any]) -> StoredMessage | None:
        """Run one Direct Get, which only a server that is alone can be believed."""
        outage: Outage | None = None
        payload = orjson.dumps(query)
        while True:
            with suppress(SilenceError):
                reply = await self._connection.request(self._direct, payload)
                status = (reply.headers or {}).get("Status")
                if status is None:
                    return _stored(reply)
                if status == _NOTHING:
                    return None
            outage = outage or self._connection.outage(self._direct)
            await outage.wait()

    def _checked(self, message: StoredMessage) -> StoredMessage:
        if not self._any_version:
            wire.check_version(message.headers, f"message {message.seq} on {message.subject}")
        return message

    async def state(self) -> dict[str, Any]:
        """Return the stream's counts, bytes and sequences, and its size as ``max_bytes``."""
        info = await self._connection.api(self._info)
        return {**info["state"], "max_bytes": info["config"].get("max_bytes", -1)}

    async def identity(self) -> tuple[str, int]:
        """Return when the stream was made, which no other one shares, and its last sequence."""
        info = await self._connection.api(self._info)
        return str(info["created"]), int(info["state"]["last_seq"])

    async def subjects(self, subjects_filter: str) -> dict[str, int]:
        """Return the subjects that match a filter, with the count of messages of each."""
        counts: dict[str, int] = {}
        async for page in self.subject_pages(subjects_filter):
            counts |= page
        return counts

    async def subject_pages(self, subjects_filter: str) -> AsyncGenerator[dict[str, int]]:
        """Yield what :meth:`subjects` returns, in sorted pages of at most 100,000."""
        seen = 0
        while True:
            body = {"subjects_filter": subjects_filter, "offset": seen}
            info = await self._connection.api(self._info, body)
            page = info["state"].get("subjects") or {}
            if page:
                yield dict(sorted(page.items()))
            seen += len(page)
            if not page or seen >= info.get("total", 0):
                return

    async def purge(self, subject: str, *, keep: int = 0, below_seq: int = 0) -> int:
        """Remove the oldest messages of a subject; return how many went."""
        limit = {"seq": below_seq} if below_seq else {"keep": keep}
        answer = await self._connection.api(self._purge, {"filter": subject, **limit})
        return int(answer["purged"])

    async def read(self, subject: str, seq: int, limit: int = MAX_PAGE_MESSAGES) -> Page:
        """Read a page of a subject's history, from ``seq`` on.

        Args:
            subject: One subject, or one with wildcards.
            seq: The first sequence that counts.
            limit: At most so many messages, and never more than 500 or 4 MiB.

        Raises:
            UnavailableError: No answer within the outage budget.
        """
        query = {
            "seq": max(seq, 1),
            "batch": min(limit, MAX_PAGE_MESSAGES),
            "max_bytes": MAX_PAGE_BYTES,
            "next_by_subj": subject,
        }
        page = await self._ask(query, f"reading {subject}")
        if page.messages or self._connection.is_alone:
            return page
        confirmed = await self.find_next(subject, max(seq, 1))
        return Page([] if confirmed is None else [confirmed], confirmed is None)

    async def read_last(self, subjects: Sequence[str]) -> list[StoredMessage]:
        """Read the newest message of each of many subjects; absent ones are left out.

        Raises:
            UnavailableError: No answer within the outage budget.
        """
        if len(subjects) == 1:
            one = await self.find_last(subjects[0])
            return [] if one is None else [one]
        found: list[StoredMessage] = []
        for start in range(0, len(subjects), MAX_SUBJECTS):
            asked = subjects[start : start + MAX_SUBJECTS]
            while asked:
                query = {"multi_last": list(asked), "max_bytes": MAX_PAGE_BYTES}
                page = await self._ask(query, "reading last messages")
                found += page.messages
                if page.complete or not page.messages:
                    break
                answered = {message.subject for message in page.messages}
                asked = [subject for subject in asked if subject not in answered]
        return found

    async def _ask(self, query: Mapping[str, Any], what: str) -> Page:
        outage = self._connection.outage(what)
        while True:
            try:
                return await self._ask_once(query)
            except SilenceError:
                await outage.wait()

    async def _ask_once(self, query: Mapping[str, Any]) -> Page:
        """Run one batch Direct Get.

        Raises:
            SilenceError: It did not come to its proper end: ask again.
        """
        async with self._slots:
            inbox, replies = self._connection.open_replies(self._direct)
            try:
                self._connection.publish(self._direct, orjson.dumps(query), reply=inbox)
                messages: list[StoredMessage] = []
                while True:
                    for reply in await replies.take(self._timeout_s):
                        headers = reply.headers or {}
                        status = headers.get("Status")
                        if status is None:
                            messages.append(self._checked(_stored(reply)))
                        elif status == "204":
                            return Page(messages, headers.get("Nats-Num-Pending") == "0")
                        elif status == _NOTHING:
                            return Page((), complete=True)
                        else:
                            raise SilenceError(sent=True)
            finally:
                replies.close()


def _stored(message: Msg) -> StoredMessage:
    headers = message.headers or {}
    return StoredMessage(
        headers["Nats-Subject"], int(headers[wire.STREAM_SEQUENCE]), headers, message.data
    )


def _headers(raw: bytes) -> dict[str, str]:
    """Parse a message's header block as the server stores it, with its status line."""
    return parse_header_lines(raw.partition(b"\r\n")[2])
