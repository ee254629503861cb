"""Figures of a process: numbers that are kept while it works, and collectors that read them."""
