r"""Read server-sent events incrementally: bytes in, messages out, however the bytes were cut.

For the streams of gateways: lines end with ``\\n`` only, as the gateway writes them.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_LINE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class SseMessage:
    r"""One dispatched block.

    Attributes:
        id: The last id seen, this block's or an earlier one's; empty when none was seen yet.
        event: The event's name; ``message`` when the block names none.
        data: The data lines, joined by ``\\n``.
    """

    id: str
    event: str
    data: str


@dataclass(frozen=True, slots=True)
class SseComment:
    """A line that carries nothing but a sign of life."""

    text: str


SseItem: TypeAlias = SseMessage | SseComment


class SseOverflowError(ValueError):
    """A line is longer than any event can be; the stream is not read further."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"a line of the event stream exceeds {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class SseParser:
    """Turns the bytes of one connection into messages; use a new parser for each connection.

    A block that the connection cut short is never dispatched: its id was not handled, so a reader
    that resumes after :attr:`last_event_id` gets the block again.

    Args:
        last_event_id: The id that messages without their own one carry.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self._rest = bytearray()
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[SseItem]:
        """Take the next bytes and return what they complete, in order.

        Raises:
            SseOverflowError: A line does not end within the limit.
        """
        self._rest += chunk
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if len(rest) > MAX_LINE_BYTES:
            raise SseOverflowError(MAX_LINE_BYTES)
        items: list[SseItem] = []
        for line in lines:
            item = self._take(line.decode("utf-8", "replace"))
            if item is not None:
                items.append(item)
        return items

    def _take(self, line: str) -> SseItem | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            return SseComment(line[1:].removeprefix(" "))
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "id" if "\0" not in value:
                self._id = value
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case _:
                pass  # `retry` and fields to come do not concern a reader with its own policy
        return None

    def _dispatch(self) -> SseMessage | None:
        self.last_event_id = self._id
        event, data = self._event, self._data
        self._event, self._data = "", []
        if not data:
            return None
        return SseMessage(self._id, event or "message", "\n".join(data))
