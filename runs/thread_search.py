"""Find threads by what their records say; linear in the number of threads."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from pydantic import Field

from runs.models import Frozen
from runs.thread import ThreadRecord, ThreadStatus

SortKey: TypeAlias = Literal["thread_id", "status", "created_at", "updated_at"]


class ThreadQuery(Frozen):
    """Which threads are wanted, and in which order.

    Attributes:
        metadata: What a thread's metadata must contain; objects inside are compared likewise.
        ids: Only these threads; ``None`` means all.
        status: Only threads that are so; ``None`` means all.
        user_id: Only this user's; ``None`` means everybody's.
    """

    metadata: dict[str, Any] = Field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    status: ThreadStatus | None = None
    user_id: str | None = None
    sort_by: SortKey = "updated_at"
    is_descending: bool = True


def fitting(threads: Iterable[ThreadRecord], query: ThreadQuery) -> list[ThreadRecord]:
    """Return the threads that are wanted, sorted; temporary ones are never shown."""
    found = [thread for thread in threads if _fits(thread, query)]
    found.sort(key=lambda each: each.thread_id)
    found.sort(key=lambda each: getattr(each, query.sort_by), reverse=query.is_descending)
    return found


def _fits(thread: ThreadRecord, query: ThreadQuery) -> bool:
    return (
        not (thread.temporary or thread.deleting)
        and (query.ids is None or thread.thread_id in query.ids)
        and query.status in (None, thread.status)
        and query.user_id in (None, thread.user_id)
        and _contains(thread.metadata, query.metadata)
    )


def _contains(whole: object, part: object) -> bool:
    if isinstance(whole, Mapping) and isinstance(part, Mapping):
        return all(name in whole and _contains(whole[name], part[name]) for name in part)
    return whole == part
