"""Assistants that come with jetrun: no model, no network, the same output for the same input."""
