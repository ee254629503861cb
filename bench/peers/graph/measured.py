"""The graph that all servers run: it emits as many events and tokens as its input asks for."""

from collections.abc import Iterator
from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

#: As JSON an event is 200 bytes long: its number, and this.
FILLING = "x" * 192


class State(TypedDict, total=False):
    """What a run is asked for, and what it did.

    Attributes:
        events: So many custom events.
        tokens: So many pieces of one message.
        done: How many of both were made.
    """

    events: int
    tokens: int
    done: int


class Speaker(BaseChatModel):
    """A model without a network: it says one word as often as it is asked to."""

    words: int

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word " * self.words))])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.words):
            yield ChatGenerationChunk(message=AIMessageChunk("word "))


def emit(state: State) -> State:
    """Emit custom events."""
    write = get_stream_writer()
    for number in range(state.get("events", 0)):
        write(f"{number:06d}{FILLING}")
    return {"done": state.get("events", 0)}


async def speak(state: State) -> State:
    """Speak one message, word by word."""
    words = state.get("tokens", 0)
    await Speaker(words=words).ainvoke("speak")
    return {"done": words}


def begin(state: State) -> str:
    """Choose by what is asked for."""
    return "speak" if state.get("tokens") else "emit"


graph = (
    StateGraph(State)
    .add_node("emit", emit)
    .add_node("speak", speak)
    .add_conditional_edges(START, begin, ["emit", "speak"])
    .add_edge("emit", END)
    .add_edge("speak", END)
    .compile()
)
