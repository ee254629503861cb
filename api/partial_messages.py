"""Show the messages of a run as the texts so far, which is what the mode ``messages`` means.

The log holds pieces: texts so far would make 8 MB of 2000 tokens. They are put together here, for
each reader anew, so a reader that resumes needs the pieces before its cursor, too.
"""

from contextlib import aclosing
from typing import Any

import orjson

from api.message_merging import Message, is_chunk, merged, whole
from api.message_pieces import find_piece
from bridge import Batch, RunRef, StreamEvent, StreamGap, sse_frame
from runs import RunsFacade

_PIECE = ("messages", "messages|")


def is_piece(event: str) -> bool:
    """Whether an event of this name may carry a piece of a message."""
    return event == _PIECE[0] or event.startswith(_PIECE[1])


class PartialMessages:
    """The messages of one run as far as one reader has seen them; bounded by the run's texts.

    Attributes:
        missing: What could not be read of the pieces before the reader's cursor.
    """

    def __init__(self) -> None:
        self._messages: dict[str | None, Message] = {}
        self.missing: StreamGap | None = None

    def skip(self, batch: Batch, last_run_seq: int) -> bool:
        """Take pieces into account that the reader has seen already.

        Args:
            batch: Of the run's events, from its beginning on.
            last_run_seq: The reader's cursor.

        Returns:
            Whether there are more before the cursor.
        """
        for item in batch:
            if isinstance(item, StreamGap):
                self.missing = item
            elif not isinstance(item, StreamEvent) or item.run_seq > last_run_seq:
                return False
            elif is_piece(item.event):
                self._take(item)
        last = batch[-1]
        return not isinstance(last, StreamEvent) or last.run_seq < last_run_seq

    def frames(self, event: StreamEvent, previous_id: str) -> list[bytes]:
        """Return what the reader gets for one piece.

        Args:
            event: The piece.
            previous_id: The event before it. What tells about a new message has this id, so that a
                reader that is cut off behind it gets the message again.
        """
        taken = self._take(event)
        if taken is None:
            return [event.frame]
        message, about, is_new = taken
        frames = []
        if is_new:
            told = {str(message.get("id")): {"metadata": about}}
            frames.append(sse_frame(previous_id, "messages/metadata", orjson.dumps(told)))
        name = "messages/partial" if is_chunk(message) else "messages/complete"
        frames.append(sse_frame(event.id, name, orjson.dumps([whole(message)])))
        return frames

    def _take(self, event: StreamEvent) -> tuple[Message, Any, bool] | None:
        found = find_piece(event.data)
        if found is None:
            return None
        piece, about = found
        known = self._messages.get(piece.get("id"))
        is_more = known is not None and is_chunk(known) and is_chunk(piece)
        message = merged(known, piece) if known is not None and is_more else piece
        self._messages[piece.get("id")] = message
        return message, about, known is None


async def begun_messages(facade: RunsFacade, run: RunRef, last_run_seq: int) -> PartialMessages:
    """Return the messages of a run as a reader knows them that has come as far as an event.

    Args:
        facade: Opens the run.
        run: The run, which the reader may see.
        last_run_seq: The number of that event; 0 when it has had none.

    Raises:
        RunNotFoundError: There is no such run any more.
        UnavailableError, ColdTierError: Log or archive cannot be read now.
    """
    partials = PartialMessages()
    if last_run_seq:
        async with (
            facade.join_stream(*run) as earlier,
            aclosing(earlier.batches()) as batches,
        ):
            async for batch in batches:
                if not partials.skip(batch, last_run_seq):
                    break
    return partials
