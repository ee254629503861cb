"""Executes compiled LangGraph graphs: imported in workers only, and only when one is declared."""
