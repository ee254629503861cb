"""What it costs a LangGraph graph to keep its checkpoints: JetStreamSaver beside InMemorySaver.

The state holds 1 kB, of which a step changes all. The graph has one node that does nothing.
"""

from collections.abc import Callable
from typing import Any, Final, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from bench.report import Figure
from bench.rounds import TimedAction, in_turns, percentile, timed
from bench.setting import open_bridge, running_server
from bridge import new_id
from runs.langgraph import JetStreamSaver

TITLE: Final = "checkpoints of a graph, 1 kB of state"
PER_ROUND: Final = 20
ROUNDS: Final = 40
SMOKE_ROUNDS: Final = 2
TEXT: Final = "x" * 1000

MakeSaver = Callable[[], BaseCheckpointSaver[Any]]


class State(TypedDict):
    """The graph's state."""

    text: str


def puts(make_saver: MakeSaver) -> TimedAction:
    """Store checkpoints of one thread, one after another."""

    async def put() -> None:
        saver = make_saver()
        at: RunnableConfig = {"configurable": {"thread_id": new_id(), "checkpoint_ns": ""}}
        for number in range(PER_ROUND):
            made = empty_checkpoint()
            made["channel_values"] = {"text": TEXT}
            made["channel_versions"] = {"text": str(number)}
            at = await saver.aput(at, made, {"step": number}, {"text": str(number)})

    return timed(put)


def runs(make_saver: MakeSaver) -> TimedAction:
    """Run the graph in threads of their own, one after another."""
    builder = StateGraph(State).add_node("nothing", lambda state: state).add_edge(START, "nothing")
    graph = builder.compile(checkpointer=make_saver())

    async def run() -> None:
        for _ in range(PER_ROUND):
            config: RunnableConfig = {"configurable": {"thread_id": new_id()}}
            await graph.ainvoke({"text": TEXT}, config)

    return timed(run)


async def measure(*, smoke: bool) -> list[Figure]:
    async with running_server() as server, open_bridge(server) as bridge:
        savers: dict[str, MakeSaver] = {
            "jetstream": lambda: JetStreamSaver(bridge.checkpoints),
            "memory": InMemorySaver,
        }
        actions: dict[str, TimedAction] = {}
        for name, make_saver in savers.items():
            actions[f"put {name}"] = puts(make_saver)
            actions[f"run {name}"] = runs(make_saver)
        seconds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    ms = {name: percentile(each, 0.5) / PER_ROUND * 1000 for name, each in seconds.items()}
    baseline = "InMemorySaver"
    return [
        Figure("aput", ms["put jetstream"], "ms", baseline, ms["put memory"]),
        Figure("trivial ainvoke", ms["run jetstream"], "ms", baseline, ms["run memory"]),
    ]
