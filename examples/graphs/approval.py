"""A graph that drafts a letter and asks a person before it sends it."""

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Letter(TypedDict, total=False):
    """What the nodes hand on."""

    to: str
    text: str
    sent: bool


def draft(state: Letter) -> dict[str, Any]:
    """Write the letter."""
    return {"text": f"Dear {state['to']}, all is well."}


def send(state: Letter) -> dict[str, Any]:
    """Ask, and send the letter, or what the person has made of it."""
    answer = interrupt({"question": "Send this?", "text": state["text"]})
    if answer is False:
        return {"sent": False}
    return {"sent": True, "text": answer if isinstance(answer, str) else state["text"]}


graph = (
    StateGraph(Letter)
    .add_node("draft", draft)
    .add_node("send", send)
    .add_edge(START, "draft")
    .add_edge("draft", "send")
)
