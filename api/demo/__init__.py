"""The demonstration: a run on real input, cut and killed in the middle, complete at the end."""

from api.demo.story import Document, run_demo

__all__ = ["Document", "run_demo"]
