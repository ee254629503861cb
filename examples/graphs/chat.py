"""A chat with a tool, by a model that needs no network: it repeats what it hears, or adds it up."""

import re
import time
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

WORD_S = 0.05  # as models take their time


class Parrot(BaseChatModel):
    """A model in name only; it streams like one."""

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _generate(self, messages: list[AnyMessage], *_: Any, **options: Any) -> ChatResult:
        pieces = [each.message for each in self._stream(messages, **options)]
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        return ChatResult(generations=[ChatGeneration(message=whole)])

    def _stream(
        self, messages: list[AnyMessage], *_: Any, **__: Any
    ) -> Iterator[ChatGenerationChunk]:
        heard = messages[-1]
        numbers = re.findall(r"\d+", str(heard.content))
        if len(numbers) > 1 and not isinstance(heard, ToolMessage):
            call = {"name": "add", "args": f'{{"numbers": [{", ".join(numbers)}]}}', "id": "add-1"}
            chunk = AIMessageChunk("", tool_call_chunks=[{**call, "index": 0}])
            yield ChatGenerationChunk(message=chunk)
            return
        says = "The sum is" if isinstance(heard, ToolMessage) else "You said:"
        for word in (says, *str(heard.content).split()):
            time.sleep(WORD_S)
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))


async def think(state: MessagesState) -> dict[str, Any]:
    """Let the model answer."""
    return {"messages": [await Parrot().ainvoke(state["messages"])]}


def use_tool(state: MessagesState) -> dict[str, Any]:
    """Do what the model asked for."""
    call = state["messages"][-1].tool_calls[0]
    total = sum(call["args"]["numbers"])
    return {"messages": [ToolMessage(str(total), tool_call_id=call["id"])]}


def next_step(state: MessagesState) -> str:
    """Use a tool if the model asked for one."""
    return "use_tool" if state["messages"][-1].tool_calls else "__end__"


graph = (
    StateGraph(MessagesState)
    .add_node("think", think)
    .add_node("use_tool", use_tool)
    .add_edge(START, "think")
    .add_conditional_edges("think", next_step, ["use_tool", "__end__"])
    .add_edge("use_tool", "think")
    .compile()
)
