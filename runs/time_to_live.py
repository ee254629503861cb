"""How long a thread stays that nobody changes."""

from typing import Final, Literal, TypeAlias

from pydantic import Field

from runs.models import Frozen

#: What goes when its time is over: the thread, or of its graph's history all but the newest state.
Strategy: TypeAlias = Literal["delete", "keep_latest"]
#: A hundred years; a longer time is probably a mistake of the unit.
MAX_TTL_S: Final = 100 * 366 * 86_400


class TimeToLive(Frozen):
    """What a thread's creator wants of it.

    Attributes:
        ttl_s: Seconds from the thread's last change.
        strategy: What goes then.
    """

    ttl_s: float = Field(gt=0, le=MAX_TTL_S)
    strategy: Strategy = "delete"
