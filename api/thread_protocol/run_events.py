"""Translate the stored events of one run into the protocol's.

What comes out depends on the run's events alone, so that every gateway says the same, with the
same ids, to whoever comes back.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from orjson import Fragment

from api.answer_schemas import InterruptShown
from api.questions import asked_in, without_questions
from api.thread_protocol.message_events import MessageEvents, Said
from bridge import StreamEvent, Terminal
from runs import find_shown, outcome_of
from runs.inputs import INTERRUPT

Namespace = tuple[str, ...]

_FUNCTION_ASKS: Final = "input"
#: Stored modes that the protocol has no channel for.
_UNTOLD: Final = frozenset({"debug", "events"})


class Told(NamedTuple):
    """One event of the protocol.

    Attributes:
        method: What it is.
        namespace: The path to the subgraph it comes from; empty for the run itself.
        data: The content; ready JSON where nothing had to be changed.
        asks: The question of a function's run, which is told only while it is open.
    """

    method: str
    namespace: Namespace
    data: Any
    asks: str | None = None

    @property
    def channel(self) -> str:
        """What a client has to have subscribed to."""
        if self.method == "input.requested":
            return "input"
        name = self.data.get("name") if self.method == "custom" else None
        return f"custom:{name}" if name else self.method


class RunEvents:
    """The events of one run, which have to come from its birth on, in order."""

    def __init__(self) -> None:
        self._messages: dict[Namespace, MessageEvents] = {}
        self._begun: dict[Namespace, None] = {}
        self._asked: dict[str, Told] = {}
        self._waits = False

    def of(self, event: StreamEvent) -> list[Told]:
        """Return what one stored event says."""
        if event.is_terminal:
            return self._end(event)
        if event.event == "metadata":
            return [_lifecycle((), "running", run_id=event.run_id)] if event.run_seq == 1 else []
        told: list[Told] = []
        if event.category == _FUNCTION_ASKS:
            return self._question(event)
        if self._waits:
            self._waits = False
            told.append(_lifecycle((), "running", run_id=event.run_id))
        mode, *path = event.event.split("|")
        namespace = tuple(path)
        told += self._entered(namespace)
        return told + self._of_mode(mode, namespace, event)

    def _of_mode(self, mode: str, namespace: Namespace, event: StreamEvent) -> list[Told]:
        match mode:
            case "messages":
                said = self._messages.setdefault(namespace, MessageEvents()).of_piece(event.data)
                return _told(namespace, said)
            case "values":
                return [*self._finish(namespace), *self._values(namespace, event)]
            case "updates":
                return self._updates(namespace, event.data)
            case "tasks":
                return [
                    Told("tasks", namespace, Fragment(event.payload)),
                    *self._left(namespace, event.data),
                ]
            case _:
                shown = _plain(mode, event)
                return [] if shown is None else [shown._replace(namespace=namespace)]

    def _values(self, namespace: Namespace, event: StreamEvent) -> list[Told]:
        if INTERRUPT.encode() not in event.payload:
            return [Told("values", namespace, Fragment(event.payload))]
        data = event.data
        self._ask(namespace, asked_in(data))
        rest = without_questions(data)
        return [Told("values", namespace, rest)] if rest or rest is data else []

    def _updates(self, namespace: Namespace, data: Any) -> list[Told]:
        if not isinstance(data, dict):
            return [Told("updates", namespace, {"values": data})]
        told = self._finish(namespace, data)
        for node, values in data.items():
            if node == INTERRUPT:
                self._ask(namespace, asked_in(data))
            else:
                update = {} if values is None else values
                told.append(Told("updates", namespace, {"node": node, "values": update}))
        return told

    def _ask(self, namespace: Namespace, asked: Iterable[InterruptShown]) -> None:
        """Keep what a graph asks: it can be answered once the run has ended."""
        for each in () if namespace else asked:
            self._asked.setdefault(each["id"], _requested(each["id"], each.get("value")))

    def _question(self, event: StreamEvent) -> list[Told]:
        """Tell what a function asks, which waits for the answer without ending."""
        shown, asked = find_shown([event]), asked_in(event.data)
        if shown is None or not asked:
            return []
        self._waits = True
        told = self._finish(())
        for each in asked:
            told.append(_requested(shown, each.get("value"))._replace(asks=shown))
        waiting = _lifecycle((), "interrupted", run_id=event.run_id)
        return [*told, waiting._replace(asks=shown)]

    def _finish(self, namespace: Namespace, nodes: Mapping[str, Any] | None = None) -> list[Told]:
        messages = self._messages.get(namespace)
        return [] if messages is None else _told(namespace, messages.finish(nodes))

    def _entered(self, namespace: Namespace) -> list[Told]:
        """Tell of subgraphs that have begun."""
        told = []
        for depth in range(1, len(namespace) + 1):
            path = namespace[:depth]
            if path not in self._begun:
                self._begun[path] = None
                name = path[-1].partition(":")[0]
                told.append(_lifecycle(path, "started", graph_name=name))
        return told

    def _left(self, namespace: Namespace, task: Any) -> list[Told]:
        """Tell of the subgraph that ended with a task."""
        if not isinstance(task, dict) or "result" not in task:
            return []
        path = (*namespace, f"{task.get('name')}:{task.get('id')}")
        if path not in self._begun:
            return []
        del self._begun[path]
        told = self._finish(path)
        self._messages.pop(path, None)
        if task.get("interrupts"):
            return [*told, _lifecycle(path, "interrupted")]
        if task.get("error"):
            return [*told, _lifecycle(path, "failed", error=str(task["error"]))]
        return [*told, _lifecycle(path, "completed")]

    def _end(self, terminal: StreamEvent) -> list[Told]:
        told = [each for path in list(self._messages) for each in self._finish(path)]
        outcome = outcome_of(terminal)
        about = {"run_id": terminal.run_id}
        if outcome.error is not None:
            text = f"{outcome.error.error}: {outcome.error.message}"
            return [*told, _lifecycle((), "failed", error=text, **about)]
        if outcome.is_interrupted:
            told += self._asked.values()
        is_completed = terminal.event == Terminal.ENDED and not outcome.is_interrupted
        return [*told, _lifecycle((), "completed" if is_completed else "interrupted", **about)]


def _told(namespace: Namespace, said: list[Said]) -> list[Told]:
    return [Told(method, namespace, data) for method, data in said]


def _lifecycle(namespace: Namespace, event: str, **facts: str) -> Told:
    return Told("lifecycle", namespace, {"event": event, **facts})


def _requested(interrupt_id: str, value: Any) -> Told:
    # The SDK in Python reads the value, the one in JavaScript the payload.
    data = {"interrupt_id": interrupt_id, "value": value, "payload": value}
    return Told("input.requested", (), data)


def _plain(mode: str, event: StreamEvent) -> Told | None:
    """Return what an event says that depends on no other one."""
    if mode in _UNTOLD:
        return None
    if mode == "checkpoints":
        return Told(mode, (), _checkpoint(event.data))
    if mode == "custom":
        return Told(mode, (), _custom(event.data))
    # An event of a function's own.
    return Told("custom", (), {"name": mode, "payload": event.data})


def _custom(data: Any) -> dict[str, Any]:
    match data:
        case {"name": str(), "payload": _}:
            return dict(data)
        case _:
            return {"payload": data}


def _checkpoint(data: Any) -> Any:
    """Return the few facts that the protocol wants to know of a checkpoint."""
    match data:
        case {"checkpoint": {"checkpoint_id": str() as its_id}, "metadata": dict() as about}:
            shown = {"id": its_id, "step": about.get("step"), "source": about.get("source")}
            match data.get("parent_checkpoint"):
                case {"checkpoint_id": str() as parent_id}:
                    return {**shown, "parent_id": parent_id}
            return shown
        case _:
            return data
