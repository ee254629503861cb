"""Start a program that dies with this process, even when this process is SIGKILLed.

Two ways, because no portable one is certain. On Linux the kernel does it (PR_SET_PDEATHSIG, set by
util-linux' setpriv). Elsewhere a shell beside the program waits for the end of a pipe whose other
end only this process holds. Both replace themselves by the program (exec), so that its process id
is the one that was spawned. Setting the signal between fork and exec from Python was refused:
``preexec_fn`` can deadlock in a process with threads. The detour costs less than 1 ms.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Self

# The signal is set before the shell looks at its parent: if that is no longer us, we were gone
# before it was set, and it will never come.
_PRCTL_SCRIPT = (
    'parent=$1; shift; [ "$PPID" = "$parent" ] && exec "$@"; '
    'echo "not started: process $parent is gone" >&2; exit 1'
)

# The watcher reads a line when the program was stopped in order, and the end of the pipe when the
# parent died. The detour over descriptor 3 is needed because a shell gives /dev/null to the
# standard input of a background command.
_PIPE_SCRIPT = 'exec 3<&0 </dev/null; { read -r _ <&3 || kill -KILL $$; } & exec "$@" 3<&-'


class ParentGuard:
    """How to spawn one program so that it does not outlive this process.

    Use it as a context manager around the spawn with ``argv`` before the program and ``stdin``
    as its standard input; call :meth:`release` once the program has ended and was reaped.
    With the kernel's way the program also dies with the *thread* that spawned it, so spawn from
    the thread of an event loop that lives as long as the program shall.
    """

    def __init__(self) -> None:
        self._watched_end: int | None = None
        self._held_end: int | None = None
        self.stdin: int = subprocess.DEVNULL
        if _has_parent_death_signal():
            pid = str(os.getpid())
            setpriv = ("setpriv", "--pdeathsig", "KILL")
            self.argv: tuple[str, ...] = (*setpriv, "/bin/sh", "-c", _PRCTL_SCRIPT, "guard", pid)
            return
        self._watched_end, self._held_end = os.pipe()
        self.stdin = self._watched_end
        self.argv = ("/bin/sh", "-c", _PIPE_SCRIPT, "guard")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watched_end is not None:
            os.close(self._watched_end)
            self._watched_end = None
        if exc is not None:
            self.release()

    def release(self) -> None:
        """Send the watcher home; without it, it would kill whoever has the process id next."""
        if self._held_end is not None:
            # The watcher is missing when the spawn failed or when someone killed it.
            with suppress(BrokenPipeError):
                os.write(self._held_end, b"\n")
            os.close(self._held_end)
            self._held_end = None


@lru_cache(maxsize=1)
def _has_parent_death_signal() -> bool:
    # Asked by trying: the setpriv of busybox lacks the option.
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return False
    attempt = ("setpriv", "--pdeathsig", "KILL", "/bin/sh", "-c", ":")
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0  # noqa: S603 - constant
