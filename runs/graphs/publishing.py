"""Publish what a graph streams, in the platform's names, and keep how it ended.

Messages are stored as the pieces that came, never as the text so far: whoever wants that builds it
when sending. The last ``values`` of the graph itself are the run's final values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.events import MAX_EVENT_NAME_LENGTH
from runs.context import Emitted, RunContext
from runs.graphs.checkpoints import shown_checkpoint
from runs.graphs.plain_json import encode_plain

INTERRUPT: Final = "__interrupt__"

OUTPUTS: Final = "outputs"
#: Reaches every reader of a run, whichever modes he asked for: somebody has to answer it.
INTERRUPTS: Final = "interrupts"

_ABSENT: Final = object()


class GraphPublisher:
    """Takes the chunks of one execution, in order.

    Args:
        context: Of the run; the events go through it.
        wanted: The modes whose chunks are published; the others only tell how it goes.
    """

    def __init__(self, context: RunContext, wanted: frozenset[str]) -> None:
        self._context = context
        self._wanted = wanted
        self._values: Any = _ABSENT
        self._published: Emitted | None = None
        self._interrupts: list[Any] = []
        self.is_interrupted = False

    async def take(self, namespace: Sequence[str], mode: str, chunk: Any) -> None:
        """Publish one chunk if it is wanted.

        Raises:
            BridgeError: An earlier event could not be stored; stop working.
        """
        if not namespace and mode == "updates":
            await self._note_interrupts(chunk)
        if mode in self._wanted:
            emitted = await self._emit(mode, namespace, chunk)
        else:
            emitted = None
        if not namespace and mode == "values":
            self._values, self._published = chunk, emitted

    async def take_event(self, event: Mapping[str, Any]) -> None:
        """Publish one event of what runs inside the graph.

        Raises:
            BridgeError: An earlier event could not be stored; stop working.
        """
        if "langsmith:hidden" not in (event.get("tags") or ()):
            await self._context.emit_encoded("events", encode_plain(event), category="trace")

    async def finish(self) -> None:
        """Make the last values the run's; those that were published already are not repeated.

        Raises:
            BridgeError: An earlier event could not be stored.
        """
        if self.is_interrupted:
            self._context.mark_interrupted()
        if self._values is _ABSENT:
            return
        final = self._values
        if self._interrupts and (
            not isinstance(final, dict) or len(final.get(INTERRUPT, ())) != len(self._interrupts)
        ):
            base = final if isinstance(final, dict) else {}
            final, self._published = {**base, INTERRUPT: self._interrupts}, None
        if self._published is None:
            payload = encode_plain(final)
            self._published = await self._context.emit_encoded("values", payload, category=OUTPUTS)
        self._context.result_is(self._published)

    async def _note_interrupts(self, chunk: Any) -> None:
        if not isinstance(chunk, dict) or INTERRUPT not in chunk:
            return
        self.is_interrupted = True
        asked = list(chunk[INTERRUPT])
        self._interrupts.extend(asked)
        if asked and not self._wanted & {"updates", "values"}:
            payload = encode_plain({INTERRUPT: asked})
            await self._context.emit_encoded("values", payload, category=INTERRUPTS)

    async def _emit(self, mode: str, namespace: Sequence[str], chunk: Any) -> Emitted:
        category = OUTPUTS if mode == "values" and not namespace else "stream"
        payload = encode_plain(_shown(mode, chunk))
        return await self._context.emit_encoded(
            event_name(mode, namespace), payload, category=category
        )


def event_name(mode: str, namespace: Sequence[str]) -> str:
    """Return the name of an event: the mode, and for a subgraph's the path to it.

    What could break a line becomes ``?``; a path that is too long for a name loses its end.
    """
    name = "|".join((mode, *namespace))
    if name.isprintable() and len(name) <= MAX_EVENT_NAME_LENGTH:
        return name.strip()
    shown = "".join(each if each.isprintable() else "?" for each in name)
    return shown[:MAX_EVENT_NAME_LENGTH].strip()


def _shown(mode: str, chunk: Any) -> Any:
    if mode == "checkpoints":
        return shown_checkpoint(chunk)
    if mode == "debug" and chunk.get("type") == "checkpoint":
        return {**chunk, "payload": shown_checkpoint(chunk["payload"])}
    return chunk
