"""The bridge contract in the memory of one process: for tests, embedding, and as a measure."""

from bridge.memory.bridge import MemoryStreamBridge
from bridge.memory.log import MemorySettings

__all__ = ["MemorySettings", "MemoryStreamBridge"]
