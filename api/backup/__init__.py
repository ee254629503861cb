"""Backups: log, state and archive of one moment in a directory, and a system made from it."""
