"""Threads and runs as tables that can be searched; rebuilt from the state stream at any time."""

from runs.read_model.model import ReadModel, open_read_model
from runs.read_model.queries import Found, RunQuery, ThreadQuery

__all__ = ["Found", "ReadModel", "RunQuery", "ThreadQuery", "open_read_model"]
