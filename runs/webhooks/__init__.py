"""Webhooks: tell a URL that a run has ended, however long that takes and whoever dies meanwhile."""
