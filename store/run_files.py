"""The open files of an archive: written together, synced together, bounded in number."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

from bridge import RunRef, StreamEvent
from store.dead_letters import DeadLetters
from store.jsonl import replace_file
from store.layout import ArchiveLayout
from store.record import encode_line
from store.run_file import NO_TAIL, RunFile, Tail
from store.run_forms import adopt_draft, drop_copies, drop_run, keep_last_line
from store.settings import ArchiveSettings


class RunFiles:
    """Writes batches of events to the files of their runs.

    Only the holder of the archive's lock may make one, because it trusts what it read of a file
    when it opened it. Its methods block; call them outside of the event loop, one at a time.

    Args:
        layout: The archive; its root directory must exist.
        settings: How many files stay open, and how many are synced at one time.
    """

    def __init__(self, layout: ArchiveLayout, settings: ArchiveSettings) -> None:
        self._layout = layout
        self._max_open = settings.max_open_files
        self._files: OrderedDict[RunRef, RunFile] = OrderedDict()
        self._dead_letters = DeadLetters(layout.dead_letters)
        self._pool = ThreadPoolExecutor(settings.max_parallel_syncs, "archive-disk")

    @property
    def max_runs(self) -> int:
        """How many runs one call may name."""
        return self._max_open

    def tails(self, runs: Iterable[RunRef]) -> dict[RunRef, Tail]:
        """Return how far the files of some runs have come; opens those that are closed.

        Raises:
            OSError: A file cannot be created or read.
        """
        return {run: file.tail for run, file in self._open(list(runs)).items()}

    def find_tail(self, run: RunRef) -> Tail:
        """Return how far a run's file has come, without creating one.

        Raises:
            OSError: The file cannot be read.
        """
        if run not in self._files and not self._layout.has(run):
            return NO_TAIL
        return self._open([run])[run].tail

    def append(
        self, groups: Mapping[RunRef, Sequence[StreamEvent]], *, is_gap_known: bool = False
    ) -> int:
        """Append the events of several runs and make them durable: first all written, then synced.

        Args:
            groups: Events by run, ascending by run_seq.
            is_gap_known: As for :meth:`RunFile.append`.

        Returns:
            How many were appended; the others were there already.

        Raises:
            RunSeqHoleError: Events are missing; nothing of this call remains.
            LogReplacedError: A sequence falls behind its file; nothing of this call remains.
            OSError: The disk refused; nothing of this call is sure to remain. Call again.
        """
        try:
            files = self._open(list(groups))
            appended = sum(
                files[run].append(events, is_gap_known=is_gap_known)
                for run, events in groups.items()
            )
            self._dead_letters.sync()
            self._sync(list(files.values()))
        except BaseException:
            self._abandon(groups)
            raise
        return appended

    def erase(self, marker: StreamEvent) -> None:
        """Replace all records of a run by the marker of its deletion, durably, in every copy.

        The marker's place keeps late and repeated records of the run out for good.

        Raises:
            OSError: The disk refused; some copies are as they were, or erased. Call again.
        """
        run = RunRef(marker.thread_id, marker.run_id)
        self._close(run)
        replace_file(self._layout.run(run), encode_line(marker))
        drop_copies(self._layout, run)
        self._dead_letters.erase(run)

    def adopt_compressed(self, run: RunRef, size: int) -> bool:
        """Let the draft of a compressed file take the place of a run's; see :func:`adopt_draft`."""
        self._close(run)
        return adopt_draft(self._layout, run, size)

    def keep_end(self, run: RunRef) -> bool:
        """Remove all records of a run but the last one, durably; see :func:`keep_last_line`."""
        self._close(run)
        return keep_last_line(self._layout, run)

    def forget(self, run: RunRef) -> None:
        """Remove the file of a run with all its copies."""
        self._close(run)
        drop_run(self._layout, run)

    def _close(self, run: RunRef) -> None:
        file = self._files.pop(run, None)
        if file is not None:
            file.close()

    def refuse(self, events: Iterable[StreamEvent], cause: str, reason: str) -> None:
        """Keep events durably that have no file; see :meth:`DeadLetters.add_event`."""
        for event in events:
            self._dead_letters.add_event(event, cause, reason)
        self._dead_letters.sync()

    def add_gap(self, run: RunRef, *, after: int, before: int) -> None:
        """Note durably that the log lost events; see :meth:`DeadLetters.add_gap`."""
        self._dead_letters.add_gap(run, after=after, before=before)
        self._dead_letters.sync()

    def close(self) -> None:
        """Close all files; the object cannot be used again."""
        self._pool.shutdown()
        while self._files:
            self._files.popitem()[1].close()
        self._dead_letters.close()

    def _open(self, runs: Sequence[RunRef]) -> dict[RunRef, RunFile]:
        if len(runs) > self._max_open:
            msg = f"{len(runs)} runs in one call exceed {self._max_open}"
            raise ValueError(msg)
        for run in runs:
            if run in self._files:
                self._files.move_to_end(run)
        closed = [run for run in runs if run not in self._files]
        while self._files and len(self._files) + len(closed) > self._max_open:
            self._files.popitem(last=False)[1].close()
        # Opening waits for the disk as syncing does, so many are opened at one time.
        opening = {run: self._pool.submit(self._open_one, run) for run in closed}
        wait(opening.values())
        for run, opened in opening.items():
            if opened.exception() is None:
                self._files[run] = opened.result()
        for opened in opening.values():
            opened.result()
        return {run: self._files[run] for run in runs}

    def _open_one(self, run: RunRef) -> RunFile:
        return RunFile(self._layout, run, self._dead_letters)

    def _sync(self, files: Sequence[RunFile]) -> None:
        if len(files) == 1:
            files[0].sync()
            return
        syncing = [self._pool.submit(file.sync) for file in files]
        # Nobody may touch a file while another thread still syncs it.
        wait(syncing)
        for synced in syncing:
            synced.result()

    def _abandon(self, runs: Iterable[RunRef]) -> None:
        for run in runs:
            file = self._files.pop(run, None)
            if file is not None:
                # The file is opened and read anew; a torn tail is then cut off.
                with suppress(OSError):
                    file.take_back()
                file.close()
        self._dead_letters.close()
