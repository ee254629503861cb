"""Which records a list takes, and from which side it is filled."""

from collections.abc import Collection
from dataclasses import dataclass

from store.errors import InvalidPageError
from store.record import Record


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of records, always shown ascending.

    Attributes:
        limit: At most so many.
        before_seq: Take the last ones below this sequence.
        after_seq: Take the first ones above it; with neither, the last ones are taken.
        category: Only this one; ``None`` means all.
        event_types: Only these; ``None`` means all.

    Raises:
        InvalidPageError: ``limit`` is negative, or both sequences are given.
    """

    limit: int
    before_seq: int | None = None
    after_seq: int | None = None
    category: str | None = None
    event_types: Collection[str] | None = None

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise InvalidPageError(f"limit is at least 0, got {self.limit}")
        if self.before_seq is not None and self.after_seq is not None:
            raise InvalidPageError("before_seq and after_seq exclude each other")

    def takes(self, record: Record) -> bool:
        """Whether a record belongs to what is listed."""
        return (
            self.category in (None, record.category)
            and (self.event_types is None or record.event_type in self.event_types)
            and (self.before_seq is None or record.seq < self.before_seq)
            and (self.after_seq is None or record.seq > self.after_seq)
        )
