"""Choose what one reader gets of a run's events."""

from collections.abc import Sequence

from api import sse
from api.partial_messages import PartialMessages, is_piece
from api.stream_modes import ModeFilter
from bridge import Batch, StreamEvent, StreamGap


class Selection:
    """Turns batches of events into the frames that one reader wants.

    Args:
        modes: Which events.
        partials: Puts messages together, for a reader that wants them so.
        position: The last event that the reader has handled.
    """

    def __init__(self, modes: ModeFilter, partials: PartialMessages | None, position: str) -> None:
        self._modes = modes
        self._partials = partials
        self._last_id = position

    def of(self, batch: Batch) -> tuple[Sequence[bytes], StreamEvent | None]:
        """Return the frames to forward, and the terminal event, which is held back."""
        frames: list[bytes] = []
        terminal: StreamEvent | None = None
        if self._partials is not None and self._partials.missing is not None:
            frames.append(sse.gap_block(self._partials.missing))
            self._partials.missing = None
        for item in batch:
            if isinstance(item, StreamEvent):
                if item.is_terminal:
                    terminal = item
                elif self._partials is not None and is_piece(item.event):
                    frames.extend(self._partials.frames(item, self._last_id))
                elif self._modes.admits(item.event, item.category):
                    frames.append(item.frame)
                self._last_id = item.id
            elif isinstance(item, StreamGap):
                frames.append(sse.gap_block(item))
        return frames, terminal
