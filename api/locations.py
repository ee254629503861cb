"""The addresses that answers name, below the root of the API and without any mount prefix.

The SDKs append ``Location`` to their base URL, and read the run id out of the end of
``Content-Location``: a prefix or a suffix breaks them.
"""

from types import MappingProxyType
from typing import Final

#: What :func:`run_headers` says.
RUN_HEADERS: Final = MappingProxyType({"Content-Location": "The run that the answer is about."})
#: What :func:`stream_headers` and :func:`join_headers` say.
RESUMED_HEADERS: Final = MappingProxyType(
    {**RUN_HEADERS, "Location": "Where to ask for the rest after a cut."}
)


def run_path(thread_id: str, run_id: str) -> str:
    """Where a run is."""
    return f"/threads/{thread_id}/runs/{run_id}"


def run_headers(thread_id: str, run_id: str) -> dict[str, str]:
    """Name the run that an answer is about."""
    return {"Content-Location": run_path(thread_id, run_id)}


def stream_headers(thread_id: str, run_id: str) -> dict[str, str]:
    """Name the run, and where its stream goes on after a cut."""
    path = run_path(thread_id, run_id)
    return {"Content-Location": path, "Location": f"{path}/stream"}


def join_headers(thread_id: str, run_id: str) -> dict[str, str]:
    """Name the run, and where its final values can be awaited again after a cut."""
    path = run_path(thread_id, run_id)
    return {"Content-Location": path, "Location": f"{path}/join"}
