"""What a webhook is told, as JSON: the run in the platform's form, how it ended, its values."""

from typing import Any

from api.shapes import run_shape
from bridge import encode_json, timestamp
from runs import Notice


def webhook_body(notice: Notice, max_bytes: int) -> bytes:
    """Return the body of a call.

    ``values_omitted`` says why values that the run has are not there: ``too large`` or ``gone``.
    The run's input is not told: it may hold what the receiver must not know.

    Args:
        notice: The run and its values.
        max_bytes: Of the body; larger values are left out.
    """
    content = _content(notice)
    body = encode_json(content)
    if len(body) <= max_bytes:
        return body
    return encode_json({**content, "values": None, "values_omitted": "too large"})


def _content(notice: Notice) -> dict[str, Any]:
    run = notice.run
    shape = {name: value for name, value in run_shape(run).items() if name != "kwargs"}
    return {
        **shape,
        "run_started_at": None if run.started_at is None else run.started_at.isoformat(),
        "run_ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
        "webhook_sent_at": timestamp(),
        "error": None if run.error is None else run.error.model_dump(),
        "values": notice.values,
        "values_omitted": "gone" if notice.has_lost_values else None,
    }
