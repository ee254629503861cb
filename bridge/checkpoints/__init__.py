"""Checkpoints of threads: an append-only log that one writer at a time may extend."""
