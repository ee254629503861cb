"""What LangGraph graphs keep on JetStream; needs the extra ``langgraph``.

Nothing else imports LangGraph on its way, so processes without graphs start without it.
"""

from runs.errors import LangGraphMissingError

try:
    import langgraph.checkpoint.base  # noqa: F401 - only to say what is missing
except ModuleNotFoundError as missing:
    raise LangGraphMissingError from missing

from runs.langgraph.saver import JetStreamSaver
from runs.langgraph.store import JetStreamStore

__all__ = ["JetStreamSaver", "JetStreamStore"]
