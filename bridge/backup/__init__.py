"""Streams of the server as bytes, and back, with every sequence as it was."""
