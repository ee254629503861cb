"""Repeat what is compared in turns, so that a noisy machine disturbs all of it alike.

The turns are short and many, and the median of them counts: on a shared machine a single long
measurement says more about the neighbours than about the code.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

Action = Callable[[], Awaitable[None]]


async def seconds_of(action: Action) -> float:
    """Return how long ``action`` took."""
    started = time.perf_counter()
    await action()
    return time.perf_counter() - started


async def interleaved(rounds: int, actions: Mapping[str, Action]) -> dict[str, list[float]]:
    """Run the actions in turns, A B A B and so on, after one round that does not count.

    Returns:
        The seconds of each action, round by round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        await action()
    for number in range(rounds):
        # Every other round goes backwards, so that nobody always comes after the same neighbour.
        names = list(actions) if number % 2 == 0 else list(reversed(actions))
        for name in names:
            seconds[name].append(await seconds_of(actions[name]))
    return seconds


def rate(count: int, seconds: list[float]) -> float:
    """Return how many a second the median round made."""
    return count / median(seconds)


def percentile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
