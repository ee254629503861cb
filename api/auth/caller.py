"""Who calls: a user or an operator, and what the credential that was shown allows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

from pydantic import StringConstraints

from bridge import RunRef

#: Printable, because it is written into logs; chosen by whoever issues credentials.
UserId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class Role(StrEnum):
    """Whose objects a caller sees: its own, or all."""

    USER = "user"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What a caller may do with the objects that it sees."""

    READ = "read"
    RUN = "run"
    PUBLISH = "publish"
    OPERATE = "operate"


ALL_SCOPES: Final = frozenset(Scope)
#: What a credential allows that names no scopes.
USUAL_SCOPES: Final = (Scope.READ, Scope.RUN, Scope.OPERATE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as its credential proves.

    Attributes:
        user_id: Who it is; an operator may have none.
        role: Whose objects it sees.
        scopes: What it may do.
        credential: How it proved that, for the audit log; no secret.
        run: The only run that it may see; ``None`` for all that the role allows.
        good_until: Seconds since 1970 at which what the credential has opened ends; ``None``: it
            stays open.
        recheck: Asks again whether the credential is good, and raises if it is not any more;
            ``None`` where nobody can take it back.
    """

    user_id: str | None
    role: Role
    scopes: frozenset[Scope]
    credential: str
    run: RunRef | None = None
    good_until: float | None = None
    recheck: Callable[[], Awaitable[object]] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.role is Role.USER and not self.user_id:
            msg = "a caller with the role user must have a user_id: without one it would see all"
            raise ValueError(msg)

    @property
    def sees(self) -> str | None:
        """Whose objects it sees; ``None`` for everybody's."""
        return None if self.role is Role.OPERATOR else self.user_id


#: Every caller, where requests are not authenticated.
EVERYBODY: Final = Caller(None, Role.OPERATOR, ALL_SCOPES, "none")
