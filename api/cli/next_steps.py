"""What to do after an error of a package that knows no command line.

Errors that say so themselves are not here.
"""

from collections.abc import Mapping
from typing import Final

import bridge.errors
import runs.errors
import store.errors

_STEPS: Final[Mapping[type[Exception], str]] = {
    bridge.errors.UnavailableError: "start nats-server, or name it with --nats; then call again",
    bridge.errors.AccessDeniedError: "set JETRUN_NATS__USER and JETRUN_NATS__PASSWORD",
    bridge.errors.InvalidIdError: "see the ids with `jetrun runs list` or `jetrun threads list`",
    bridge.errors.ServerTooOldError: "install a newer nats-server",
    bridge.errors.StateConflictError: "somebody else was quicker; look at it, and call again",
    bridge.errors.ApiError: "see the log of nats-server, and `jetrun streams verify`",
    bridge.errors.TopologyDriftError: "`jetrun streams apply` makes the streams what is wanted",
    runs.errors.ContentionError: "call again",
    store.errors.QueryError: "see docs/archive.md for the columns of `records`",
}


def next_step(error: Exception) -> str | None:
    """Return what to do next; None where the error's message says it."""
    return next((_STEPS[kind] for kind in type(error).__mro__ if kind in _STEPS), None)
