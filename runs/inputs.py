"""Ask the user of a run something, and wait for the answer.

The question is committed to the thread before it is shown, so whoever sees it can answer it. The
function stays where it is meanwhile, in its worker; when that dies, the question dies with it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from bridge import RunBridge, RunRef, StreamEvent, new_event, new_id
from runs.errors import InputTimeoutError
from runs.manager import RunManager
from runs.thread import Answer, Question

#: The category of the events that show a question.
INPUT: Final = "input"
#: As the platform's clients know it: the name under which a question stands in values and updates.
INTERRUPT: Final = "__interrupt__"
_INPUT_ID: Final = "input_id"


class Inputs:
    """Asks the user of one execution; one question at a time.

    Args:
        bridge: Shows the questions.
        manager: Commits them.
        run: Who asks.
        attempt: In which execution.
        wait_s: Seconds that an answer is waited for.
    """

    def __init__(
        self,
        bridge: RunBridge,
        manager: RunManager,
        run: RunRef,
        attempt: int,
        *,
        wait_s: float,
    ) -> None:
        self._bridge = bridge
        self._manager = manager
        self._run = run
        self._attempt = attempt
        self._wait_s = wait_s
        self._input_id = ""
        self._waiting: asyncio.Future[Any] | None = None

    async def ask(self, prompt: Any) -> Any:
        """Show ``prompt`` and return the answer; everything emitted before must be stored.

        Raises:
            InputTimeoutError: Nobody answered in time; the question is withdrawn.
            InvalidContentError: ``prompt`` is not JSON; nothing was asked.
            RunsError, BridgeError: It could not be asked; stop working.
        """
        question = Question(input_id=new_id(), prompt=prompt)
        shown = question.shown()
        events = [
            new_event("updates", shown, category=INPUT),
            new_event("values", shown, category=INPUT, metadata={_INPUT_ID: question.input_id}),
        ]
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._input_id = question.input_id
        try:
            await self._manager.ask(self._run, self._attempt, question)
            await self._bridge.publish_many(self._run.run_id, events)
            await self._bridge.mark_awaiting_input(self._run.run_id)
            async with asyncio.timeout(self._wait_s):
                return await waiting
        except TimeoutError:
            return await self._withdraw(question)
        finally:
            self._waiting = None

    async def _withdraw(self, question: Question) -> Any:
        active = await self._manager.ask(self._run, self._attempt, None)
        if active.answer is not None and active.answer.input_id == question.input_id:
            return active.answer.value  # it came in the same moment
        raise InputTimeoutError(self._run.run_id, self._wait_s)

    def answered(self, answer: Answer) -> None:
        """Hand the answer over; one to an earlier question is passed over."""
        if answer.input_id != self._input_id or self._waiting is None:
            return
        if not self._waiting.done():
            self._waiting.set_result(answer.value)

    def stop(self) -> None:
        """Wait no longer, because the run shall stop."""
        if self._waiting is not None:
            self._waiting.cancel()


def find_shown(events: Sequence[object]) -> str | None:
    """Return the id of the question that the last of ``events`` shows; ``None`` if it shows none.

    Args:
        events: What was read of a run, in order.
    """
    last = events[-1] if events else None
    if not isinstance(last, StreamEvent) or last.category != INPUT:
        return None
    input_id = (last.metadata or {}).get(_INPUT_ID)
    return input_id if isinstance(input_id, str) else None
