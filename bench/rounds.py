"""Repeat what is compared in turns, so that a noisy machine disturbs all of it alike.

The turns are short and many, and the median of them counts: on a shared machine a single long
measurement says more about the neighbours than about the code.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import TypeVar

Action = Callable[[], Awaitable[None]]
#: An action that knows itself which of its seconds count.
TimedAction = Callable[[], Awaitable[float]]
Result = TypeVar("Result")


def timed(action: Action) -> TimedAction:
    """Count all seconds of an action."""

    async def count() -> float:
        started = time.perf_counter()
        await action()
        return time.perf_counter() - started

    return count


async def in_turns(
    rounds: int, actions: Mapping[str, Callable[[], Awaitable[Result]]]
) -> dict[str, list[Result]]:
    """Run the actions in turns, A B B A and so on, after one round that does not count.

    Returns:
        What each action returned, round by round.
    """
    results: dict[str, list[Result]] = {name: [] for name in actions}
    for action in actions.values():
        await action()
    for number in range(rounds):
        # Every other round goes backwards, so that nobody always comes after the same neighbour.
        names = list(actions)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            results[name].append(await actions[name]())
    return results


def rate(count: int, seconds: list[float]) -> float:
    """Return how many a second the median round made."""
    return count / median(seconds)


def percentile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
