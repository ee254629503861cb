"""Every kind of message: its headers and its payload."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.asyncapi import headers
from api.auth.api_keys import ApiKeyRecord
from bridge import Terminal
from bridge.events import BIRTH, DELETED
from runs import AssistantRecord, CronRecord, RunFault, RunRecord, RunStatus, ThreadRecord
from runs.crons.crons import TimedCron
from runs.graph_questions import GraphQuestion
from runs.idempotency import KeyedRun
from runs.observation import ObserverPosition
from runs.quotas import Quota
from runs.retirement_line import Place
from runs.run_timers import TimedRun
from runs.webhooks.record import WebhookRecord
from runs.worker import JobPayload
from store.sink_status import SinkStatus

JSON: Final = "application/json"
TEXT: Final = "text/plain"
BINARY: Final = "application/octet-stream"
_SCHEMA: Final = "#/components/schemas/"
_MODELS: Final[tuple[type[BaseModel], ...]] = (
    ApiKeyRecord,
    RunRecord,
    ThreadRecord,
    AssistantRecord,
    RunFault,
    KeyedRun,
    JobPayload,
    ObserverPosition,
    Place,
    GraphQuestion,
    TimedRun,
    CronRecord,
    TimedCron,
    WebhookRecord,
    Quota,
    SinkStatus,
)
_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_ANY: Final = {"description": "any JSON value"}
_BYTES: Final = {"type": "string", "format": "binary"}


def schemas() -> dict[str, Any]:
    """Return the schemas of the records, by the names of their models."""
    _, document = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template=_SCHEMA + "{model}"
    )
    return dict(document["$defs"])


def _ref(model: type[BaseModel]) -> Mapping[str, str]:
    return {"$ref": _SCHEMA + model.__name__}


def _exactly(**fields: Any) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _by_jetrun(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    # Who publishes with the bridge alone chooses a terminal's data.
    return {"anyOf": [schema, _ANY], "description": "as run control writes it, or any JSON value"}


def _ending(statuses: tuple[RunStatus, ...], outputs: Any, error: Any) -> Mapping[str, Any]:
    status = {"type": "string", "enum": [each.value for each in statuses]}
    return _by_jetrun(_exactly(status=status, outputs=outputs, error=error))


_NULL: Final = {"type": "null"}
_OUTPUTS: Final = {
    "anyOf": [{"type": "string"}, _NULL],
    "description": "id of the event `values` with the final values",
}
#: The payloads of the events that jetrun itself publishes, by name.
CONTROL_EVENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    BIRTH: _exactly(run_id=_ID, thread_id=_ID, attempt={"type": "integer", "minimum": 1}),
    Terminal.ENDED.value: _ending((RunStatus.SUCCESS,), _OUTPUTS, _NULL),
    Terminal.CANCELLED.value: _ending((RunStatus.INTERRUPTED,), _NULL, _NULL),
    Terminal.ERRORED.value: _ending(
        (RunStatus.ERROR, RunStatus.TIMEOUT), _NULL, {"$ref": _SCHEMA + RunFault.__name__}
    ),
    Terminal.DEAD_LETTER.value: _by_jetrun(
        _exactly(reason={"type": "string"}, timestamp={"type": "string", "format": "date-time"})
    ),
    DELETED: {"description": "nothing to read: the run is gone"},
}


def _event(name: str, payload: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
    schema = headers.headers_schema(
        {**headers.EVENT, "Run-Event": {"type": "string", "const": name}},
        given=headers.EVENT_OPTIONAL,
        stored=headers.STORED,
        **more,
    )
    return _message(f"The event `{name}` of a run.", schema, payload)


def _message(
    summary: str,
    schema: Mapping[str, Any],
    payload: Mapping[str, Any],
    content_type: str = JSON,
) -> Mapping[str, Any]:
    return {
        "summary": summary,
        "contentType": content_type,
        "headers": schema,
        "payload": payload,
    }


def messages() -> dict[str, Mapping[str, Any]]:
    """Return every kind of message by its name in the document."""
    ordinary = headers.headers_schema(
        headers.EVENT, given=headers.EVENT_OPTIONAL, stored=headers.STORED
    )
    live = headers.headers_schema(
        headers.EVENT,
        headers.LIVE,
        given=headers.EVENT_OPTIONAL,
        stored=headers.STORED,
        deleted=headers.DELETED,
    )
    dead = headers.headers_schema(
        headers.EVENT, headers.DEAD_LETTER, given={"Run-Meta": headers.EVENT_OPTIONAL["Run-Meta"]}
    )
    state = headers.headers_schema(headers.STATE)
    timer = headers.headers_schema(headers.TIMER, stored=headers.TIMER_STORED)
    job = headers.headers_schema(headers.VERSIONED)
    none = headers.headers_schema()
    control = {
        name: _event(name, payload, **({"deleted": headers.DELETED} if name == DELETED else {}))
        for name, payload in CONTROL_EVENTS.items()
    }
    return {
        "event": _message("An event of a run, with the publisher's own data.", ordinary, _ANY),
        **control,
        "live": _message("An event as it is stored; at most once.", live, _ANY),
        "deadLetter": _message("An event that a durable consumer gave up.", dead, _ANY),
        "runRecord": _message("A run. Empty: it was deleted.", state, _ref(RunRecord)),
        "threadRecord": _message("A thread. Empty: it was deleted.", state, _ref(ThreadRecord)),
        "assistantRecord": _message(
            "An assistant that a client made. Empty: it was deleted.", state, _ref(AssistantRecord)
        ),
        "runRef": _message(
            "The id of the thread that owns a run, as it is.", state, {"type": "string"}, TEXT
        ),
        "seal": _message(
            "A line of JSON with the headers of the run's terminal event, then its payload. "
            "Empty: the run was deleted.",
            state,
            {"type": "string"},
            TEXT,
        ),
        "awaiting": _message("The Run-Seq from which a run waits.", state, {"type": "integer"}),
        "sweep": _message(
            "Which process looks at a part of the log, and since when.",
            state,
            {
                "type": "object",
                "properties": {"owner": {"type": "string"}, "at": {"type": "number"}},
                "required": ["owner", "at"],
            },
        ),
        "rollCall": _message(
            "Ids of runs; a process answers with those that it has.",
            none,
            {"type": "array", "items": {"type": "string"}},
        ),
        "idempotencyKey": _message("The run of a key.", state, _ref(KeyedRun)),
        "apiKey": _message("What an API key allows.", state, _ref(ApiKeyRecord)),
        "webhook": _message("The call of a run's webhook.", state, _ref(WebhookRecord)),
        "quota": _message("The runs under way that count against a limit.", state, _ref(Quota)),
        "sharedSecret": _message("Random bytes that gateways sign with.", state, _BYTES, BINARY),
        "sink": _message(
            "What the sink says of itself, or is told.",
            state,
            {"anyOf": [_ref(SinkStatus), _exactly(paused={"type": "boolean"})]},
        ),
        "erasure": _message(
            "The thread's records were deleted; late ones are refused.", state, _exactly()
        ),
        "observer": _message("How far an observer was told.", state, _ref(ObserverPosition)),
        "job": _message(
            "A run that waits for a worker, or for the call of its webhook.", job, _ref(JobPayload)
        ),
        "timer": _message("A run that is to begin later.", timer, _ref(TimedRun)),
        "cronRecord": _message("A cron.", state, _ref(CronRecord)),
        "cronTimer": _message("The next time of a cron.", timer, _ref(TimedCron)),
        "firedTimer": _message(
            "A timer's content; see the timers.",
            headers.headers_schema(headers.VERSIONED, headers.TIMER_FIRED),
            _ANY,
        ),
        "retirement": _message("A thread that will be removed.", job, _ref(Place)),
        "graphQuestion": _message(
            "About a thread's state, or the graph itself.", none, _ref(GraphQuestion)
        ),
        "nudge": _message(
            "Look at the run's state now.", none, {"type": "string", "maxLength": 0}, TEXT
        ),
        **_of_graphs(),
    }


def _of_graphs() -> dict[str, Mapping[str, Any]]:
    """Return what graphs keep: checkpoints, and the items of their store."""
    parts = headers.CHECKPOINT_OPTIONAL
    whole = headers.headers_schema(headers.CHECKPOINT, optional=parts)
    claimed = headers.headers_schema(headers.CLAIMED)
    return {
        "checkpoint": _message(
            "A line of JSON that says what follows it, then the values.", whole, _BYTES, BINARY
        ),
        "checkpointNote": _message(
            "What one task wrote on a checkpoint, likewise.",
            headers.headers_schema(headers.CLAIMED, optional=parts),
            _BYTES,
            BINARY,
        ),
        "checkpointPart": _message(
            "A piece of what is too large for one message.", claimed, _BYTES, BINARY
        ),
        "checkpointClaim": _message(
            "Who may write the thread.",
            headers.headers_schema(headers.CLAIM, optional=headers.CLAIM_OPTIONAL),
            _exactly(
                run_id={"anyOf": [{"type": "string"}, _NULL]},
                attempt={"type": "integer"},
                since={"type": "integer"},
                is_over={"type": "boolean"},
            ),
        ),
        "item": _message(
            "An item.",
            headers.headers_schema(headers.ITEM, optional=headers.ITEM_OPTIONAL),
            _exactly(
                namespace={"type": "array", "items": {"type": "string"}},
                key={"type": "string"},
                value={"type": "object"},
                created_at={"type": "string", "format": "date-time"},
                updated_at={"type": "string", "format": "date-time"},
                ttl_s={"anyOf": [{"type": "integer"}, _NULL]},
            ),
        ),
    }
