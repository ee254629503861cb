"""Graphs that the tests run: they need neither a network nor a model."""
# ruff: noqa: ARG001, ARG002 - the engine decides what nodes and models are given

import asyncio
import operator
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict


class Parrot(BaseChatModel):
    """Says what it is told to, word by word, or asks for a tool; reports what that cost."""

    @property
    def _llm_type(self):
        return "parrot"

    def _answer(self, messages):
        last = messages[-1]
        if isinstance(last, ToolMessage):
            return f"the tool says {last.content}", None
        if last.content.startswith("add "):
            return "", {
                "name": "add",
                "args": '{"numbers": "' + last.content[4:] + '"}',
                "id": "c1",
            }
        return f"you said {last.content}", None

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        chunk = None
        for each in self._stream(messages):
            chunk = each.message if chunk is None else chunk + each.message
        return ChatResult(generations=[ChatGeneration(message=chunk)])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        text, call = self._answer(messages)
        words = [word + " " for word in text.split()]
        for word in words:
            yield from self._piece(run_manager, AIMessageChunk(word))
        if call:
            half = len(call["args"]) // 2
            for number, args in enumerate((call["args"][:half], call["args"][half:])):
                first = {"name": call["name"], "id": call["id"]} if number == 0 else {}
                piece = {"name": None, "id": None, **first, "args": args, "index": 0}
                message = AIMessageChunk(
                    "", tool_call_chunks=[{**piece, "type": "tool_call_chunk"}]
                )
                yield from self._piece(run_manager, message)
        usage = {"input_tokens": len(messages), "output_tokens": len(words), "total_tokens": 0}
        usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
        last = AIMessageChunk(
            "", usage_metadata=usage, response_metadata={"model_name": "parrot-1"}
        )
        yield from self._piece(run_manager, last)

    def _piece(self, run_manager, message):
        chunk = ChatGenerationChunk(message=message)
        if run_manager is not None:
            run_manager.on_llm_new_token(message.content, chunk=chunk)
        yield chunk


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


async def _call_model(state: Chat) -> dict[str, Any]:
    return {"messages": [await Parrot().ainvoke(state["messages"])]}


def _call_tool(state: Chat) -> dict[str, Any]:
    call = state["messages"][-1].tool_calls[0]
    get_stream_writer()({"tool": call["name"]})
    total = sum(map(int, call["args"]["numbers"].split()))
    return {"messages": [ToolMessage(str(total), tool_call_id=call["id"])]}


def _route(state: Chat) -> str:
    return "tools" if state["messages"][-1].tool_calls else "__end__"


chat = (
    StateGraph(Chat)
    .add_node("model", _call_model)
    .add_node("tools", _call_tool)
    .add_edge(START, "model")
    .add_conditional_edges("model", _route, ["tools", "__end__"])
    .add_edge("tools", "model")
    .compile()
)


class Steps(TypedDict):
    log: Annotated[list[str], operator.add]


def _say(name: str):
    def say(state: Steps) -> dict[str, Any]:
        return {"log": [name]}

    return say


def _ask(state: Steps) -> dict[str, Any]:
    answer = interrupt({"question": "go on?", "log": state["log"]})
    return {"log": [f"answered {answer}"]}


approval = (
    StateGraph(Steps)
    .add_node("before", _say("before"))
    .add_node("ask", _ask)
    .add_node("after", _say("after"))
    .add_edge(START, "before")
    .add_edge("before", "ask")
    .add_edge("ask", "after")
)


def _ask_two(name: str):
    def ask(state: Steps) -> dict[str, Any]:
        return {"log": [f"{name} {interrupt(name)}"]}

    return ask


two_questions = (
    StateGraph(Steps)
    .add_node("first", _ask_two("first"))
    .add_node("second", _ask_two("second"))
    .add_node("quiet", _say("quiet"))
    .add_edge(START, "first")
    .add_edge(START, "second")
    .add_edge(START, "quiet")
)


def _inner_custom(state: Steps) -> dict[str, Any]:
    get_stream_writer()({"inside": True})
    return {"log": ["inner"]}


class Inner(TypedDict):
    log: Annotated[list[str], operator.add]


_inner = StateGraph(Inner).add_node("deep", _inner_custom).add_edge(START, "deep").compile()

nested = (
    StateGraph(Steps)
    .add_node("outer", _say("outer"))
    .add_node("inner", _inner)
    .add_edge(START, "outer")
    .add_edge("outer", "inner")
)


class Work(TypedDict, total=False):
    """What the slow graph is told to do, and what it did."""

    steps: int
    step_s: float
    file: str
    done: Annotated[list[int], operator.add]
    pids: Annotated[list[int], operator.add]


def _append(path: str, line: str) -> None:
    with Path(path).open("a") as out:
        out.write(line)


async def _work(state: Work) -> dict[str, Any]:
    number = len(state.get("done") or []) + 1
    if state.get("file"):
        await asyncio.to_thread(_append, state["file"], f"{number} {os.getpid()}\n")
    # Who kills the process at this event finds the line of the step.
    get_stream_writer()({"step": number, "pid": os.getpid()})
    await asyncio.sleep(state.get("step_s", 0))
    return {"done": [number], "pids": [os.getpid()]}


def _more(state: Work) -> str:
    return "work" if len(state["done"]) < state["steps"] else "__end__"


slow = (
    StateGraph(Work)
    .add_node("work", _work)
    .add_edge(START, "work")
    .add_conditional_edges("work", _more, ["work", "__end__"])
)


async def _block(state: Work) -> dict[str, Any]:
    get_stream_writer()("blocking")
    await asyncio.sleep(0.05)
    time.sleep(state["step_s"])  # noqa: ASYNC251 - the fault under test
    return {"done": [1]}


blocking = StateGraph(Work).add_node("work", _block).add_edge(START, "work")


def _sync(state: Work) -> dict[str, Any]:
    get_stream_writer()("began")
    time.sleep(state["step_s"])
    if state.get("file"):
        Path(state["file"]).touch()
    return {"done": [1]}


sync_node = StateGraph(Work).add_node("work", _sync).add_edge(START, "work")


def _fail(state: Steps) -> dict[str, Any]:
    raise LookupError("nothing there")


failing = (
    StateGraph(Steps)
    .add_node("before", _say("before"))
    .add_node("broken", _fail)
    .add_edge(START, "before")
    .add_edge("before", "broken")
)


def _odd(state: Steps) -> dict[str, Any]:
    write = get_stream_writer()
    write({"nan": float("nan"), "object": object(), "text": "\ud800 \0", "set": {1}, 2: "two"})
    write({"failure": LookupError("told")})
    write({"self": (cycle := [])})
    cycle.append(cycle)
    write({"self": cycle})
    return {"log": ["odd \ud800"]}


odd = StateGraph(Steps).add_node("odd", _odd).add_edge(START, "odd")


class Options(TypedDict, total=False):
    language: str


class Seen(TypedDict, total=False):
    seen: dict[str, Any]


def _look(state: Seen, config: RunnableConfig, runtime: Runtime[Options]) -> dict[str, Any]:
    names = ("thread_id", "run_id", "graph_id", "assistant_id", "color")
    configurable = {name: config["configurable"].get(name) for name in names}
    metadata = {name: config["metadata"].get(name) for name in ("run_id", "topic", "run_attempt")}
    return {
        "seen": {
            **configurable,
            "metadata": metadata,
            "tags": config.get("tags"),
            "context": runtime.context,
            "has_store": runtime.store is not None,
        }
    }


looks = StateGraph(Seen, context_schema=Options).add_node("look", _look).add_edge(START, "look")


class Fan(TypedDict, total=False):
    width: int
    each: Annotated[list[int], operator.add]


def _one(state: dict[str, int]) -> dict[str, Any]:
    return {"each": [state["number"]]}


def _spread(state: Fan) -> list[Send]:
    return [Send("one", {"number": number}) for number in range(state["width"])]


fan = StateGraph(Fan).add_node("one", _one).add_conditional_edges(START, _spread, ["one"])


def makes():
    return approval


async def makes_by_config(config):
    name = config["configurable"].get("name", "nobody")
    return StateGraph(Steps).add_node("say", _say(name)).add_edge(START, "say")


@asynccontextmanager
async def opens(config, runtime):
    execution = runtime.execution_runtime
    name = f"{runtime.access_context} {execution.context if execution else None}"
    yield StateGraph(Steps).add_node("say", _say(name)).add_edge(START, "say").compile()


def makes_nothing():
    return 17


def _jump(state: Steps) -> Command:
    return Command(update={"log": ["jumped"]}, goto="after")


jumping = (
    StateGraph(Steps)
    .add_node("jump", _jump, destinations=("after",))
    .add_node("after", _say("after"))
    .add_node("never", _say("never"))
    .add_edge(START, "jump")
)
