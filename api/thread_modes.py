"""Which events of a thread's runs a reader wants to see.

A thread has modes of its own beside those of runs: ``run_modes`` shows of each run what its creator
asked for; ``lifecycle`` only how runs begin and end, which every reader is told.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from api.stream_modes import ModeFilter, parse_mode_names
from bridge import StreamEvent
from runs import RunsFacade, UnsupportedOptionError

_AS_ASKED: Final = "run_modes"
_UNTOLD: Final = "state_update"


class ThreadModes:
    """What one reader wants of the runs of a thread.

    Args:
        names: Modes of threads or of runs, or event names; none at all means everything.

    Attributes:
        names: The modes, each once.
        depends_on_run: Whether it matters what a run's creator asked for.

    Raises:
        UnsupportedOptionError: The mode is one that nothing in the log could serve.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(names))
        if _UNTOLD in self.names:
            raise UnsupportedOptionError(f"stream_mode {_UNTOLD}")
        self._is_as_asked = _AS_ASKED in self.names
        self._others = frozenset(self.names) - {_AS_ASKED}
        self.depends_on_run = self._is_as_asked or ModeFilter(self._others).admits_all

    def of_run(self, asked: Iterable[str]) -> ModeFilter:
        """Return what is wanted of a run whose creator asked for some modes."""
        if self._is_as_asked:
            return ModeFilter(self._others.union(asked))
        return ModeFilter(self._others).like(asked)


def parse_thread_modes(values: Sequence[str]) -> ThreadModes:
    """Read the query values of ``stream_mode``; see :func:`parse_mode_names`.

    Raises:
        InvalidRequestError: As :func:`parse_mode_names` says.
        UnsupportedOptionError: As :class:`ThreadModes` says.
    """
    return ThreadModes(parse_mode_names(values))


class RunFilters:
    """The filters of the runs under way on one thread; a run's record is read at most once.

    Args:
        facade: Knows what the creators of runs asked for.
        modes: What the reader wants.
    """

    def __init__(self, facade: RunsFacade, modes: ThreadModes) -> None:
        self._facade = facade
        self._modes = modes
        self._of_runs: dict[str, ModeFilter] = {}

    async def of(self, event: StreamEvent) -> ModeFilter:
        """Return what is wanted of an event's run; of one that is removed it is everything."""
        known = self._of_runs.get(event.run_id)
        if known is None:
            known = self._modes.of_run(await self._asked(event.run_id))
            self._of_runs[event.run_id] = known
        return known

    def forget(self, run_id: str) -> None:
        """Give up what is known of a run that has ended."""
        self._of_runs.pop(run_id, None)

    async def _asked(self, run_id: str) -> Sequence[str]:
        if not self._modes.depends_on_run:
            return ()
        record = await self._facade.find_run(run_id)
        return () if record is None else record.kwargs.get("stream_mode") or ()
