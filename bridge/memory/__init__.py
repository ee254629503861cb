"""The bridge contract in the memory of one process: for tests, embedding, and as a measure."""

from bridge.memory.bridge import MemoryStreamBridge
from bridge.memory.settings import MemorySettings
from bridge.memory.timers import MemoryTimers

__all__ = ["MemorySettings", "MemoryStreamBridge", "MemoryTimers"]
