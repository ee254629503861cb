"""Executes compiled LangGraph graphs: imported in workers only, and only when one is declared."""

import runs.langgraph  # noqa: F401 - says what to install where LangGraph is missing
