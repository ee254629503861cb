"""Find what graphs ask in the values that their runs show.

A function may return whatever it likes under the same name: what has not the form of a question is
none.
"""

from typing import Any, TypeGuard

from api.answer_schemas import InterruptShown
from runs.inputs import INTERRUPT


def asked_in(values: Any) -> list[InterruptShown]:
    """Return the questions that values or an update hold, each with its id."""
    asked = values.get(INTERRUPT) if isinstance(values, dict) else None
    return [each for each in asked if _is_question(each)] if isinstance(asked, list) else []


def _is_question(asked: object) -> TypeGuard[InterruptShown]:
    return isinstance(asked, dict) and isinstance(asked.get("id"), str)


def without_questions(values: Any) -> Any:
    """Return values without what their graph asks."""
    if not isinstance(values, dict) or INTERRUPT not in values:
        return values
    return {name: each for name, each in values.items() if name != INTERRUPT}
