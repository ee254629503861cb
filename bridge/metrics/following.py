"""What following came to in this process."""

from collections import Counter
from enum import StrEnum

from bridge.events import GapReason


class Fall(StrEnum):
    """Why a reader left the live feed and went to the log."""

    #: It was slower than the feed, and its buffer is full.
    OVERFLOW = "overflow"
    #: A live event is missing, or came as no event.
    LOST = "lost"
    #: The connection broke, or the client dropped messages.
    DISTURBED = "disturbed"
    #: Nothing came, and the log knew more.
    SILENT = "silent"


class FollowFigures:
    """Adds up what readers of runs met with.

    Attributes:
        falls: Readers that went to the log, by why.
        gaps: Gaps that readers were told of, by reason.
    """

    def __init__(self) -> None:
        self.falls: Counter[Fall] = Counter()
        self.gaps: Counter[GapReason] = Counter()
