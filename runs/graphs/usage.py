"""Count the tokens that a run's models report."""

import threading
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult

from runs.models import TokenUsage


class UsageMeter(BaseCallbackHandler):
    """Sums what each model call of one run reports; models may be called from several threads."""

    # Else each token would cost a trip to another thread.
    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.usage: TokenUsage | None = None
        self.model_name: str | None = None

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Take one call into account; a model that reports nothing changes nothing."""
        for generation in (each for group in response.generations for each in group):
            message = getattr(generation, "message", None)
            if isinstance(message, AIMessage):
                with self._lock:
                    self._take(message)

    def _take(self, message: AIMessage) -> None:
        name = message.response_metadata.get("model_name")
        if isinstance(name, str) and name:
            self.model_name = name
        counts = message.usage_metadata
        if counts:
            used = TokenUsage(
                input_tokens=counts["input_tokens"],
                output_tokens=counts["output_tokens"],
                total_tokens=counts["total_tokens"],
            )
            self.usage = used if self.usage is None else self.usage.plus(used)
