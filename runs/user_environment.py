"""Prepare a worker's process for user code, before any of it is imported."""

import os

from runs.loader import prefer_directory
from runs.settings import GraphSettings


def prepare(settings: GraphSettings) -> None:
    """Put the user's directories first on the module search, and set the user's variables.

    A variable that the process has already stays: whoever starts a process knows best.

    Raises:
        AssistantLoadError: A directory has a module with the name of a package of ours.
    """
    for directory in reversed(settings.dependencies):
        prefer_directory(directory)
    for name, value in settings.env.items():
        os.environ.setdefault(name, value.get_secret_value())
