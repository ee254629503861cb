"""The command ``jetrun``."""

from api.cli.program import main

__all__ = ["main"]
