"""Put the subjects and their messages together as one AsyncAPI 3.0 document."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from api.asyncapi.messages import CONTROL_EVENTS, JSON, messages, schemas
from api.auth.api_keys import API_KEY
from api.auth.stream_tokens import SHARED_SECRET
from bridge import RunRef, Subjects
from bridge.awaiting import AWAITING
from bridge.ids import shard
from bridge.retention.shard_claims import SWEEP
from bridge.state import REF
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects
from runs.assistant_book import ASSISTANT
from runs.crons.crons import CRON
from runs.observation import OBSERVER
from runs.quotas import QUOTA
from runs.retirement_line import LINE
from runs.run_timers import RUN_TIMER
from runs.webhooks.announcing import LINE as CALLS
from runs.webhooks.announcing import WEBHOOK
from store.jetstream_store import ERASED
from store.sink_status import SINK

_DESCRIPTION: Final = (
    "What jetrun keeps and sends on NATS, for programs beside it. They receive; they publish by "
    "`POST /threads/{thread}/runs/{run}/events` or with `bridge.publish`, because an event is "
    "accepted only with its number in the run and with the sequence of its predecessor. "
    "The operations are those of such a program."
)
_PARAMETERS: Final = {
    "shard": "crc32 of the thread's id (of the key in state, of an item's first label) modulo 64, "
    "as two hex digits",
    "thread": "the thread",
    "run": "the run",
    "assistant": "the assistant that executes it, or that a client made",
    "cron": "the cron",
    "consumer": "the durable consumer",
    "key": (
        "a digest of user, thread and key; of a sweep, what is looked at; of an observer, its "
        "name; of a quota, whose runs are counted; of a secret, what it signs; of a sink, "
        "`status` or `wish`; of a timer, the run or the cron; of an item, its own, or a digest"
    ),
    "kind": "what sort of timer: `run` or `cron`",
    "lane": "the graph's namespace, or a digest",
    "checkpoint": "the checkpoint, or a digest",
    "order": "the claim's sequence and the writer's own count, in hexadecimal digits",
    "number": "of the part, from 0",
    "label": "the labels of the item's namespace, one token each; digests where they are no ids",
}


def asyncapi_document(prefix: str = "jetrun") -> dict[str, Any]:
    """Return the document for one prefix of subjects.

    Args:
        prefix: As in ``JETRUN_LOG__PREFIX``.
    """
    channels = _channels(Subjects(prefix))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "jetrun",
            "version": version("jetrun"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": channels,
        "operations": {
            f"receive{name[0].upper()}{name[1:]}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name in ("events", "live", "deadLetters")
        },
        "components": {"messages": messages(), "schemas": schemas()},
    }


def _channels(subjects: Subjects) -> dict[str, Any]:
    run = RunRef("THREAD", "RUN")
    events = ("event", *CONTROL_EVENTS)
    return {
        "events": _channel(subjects.event(run), events, "The log.", subjects.events_stream),
        "live": _channel(subjects.live(run), ["live"], "The log as it grows; nothing is kept."),
        "deadLetters": _channel(
            subjects.dead_letter("CONSUMER", run),
            ["deadLetter"],
            "What durable consumers gave up.",
            subjects.dead_stream,
        ),
        "runs": _state(subjects, "run", "RUN", "runRecord"),
        "threads": _state(subjects, "thread", "THREAD", "threadRecord"),
        "assistants": _state(subjects, ASSISTANT, "ASSISTANT", "assistantRecord"),
        "runRefs": _state(subjects, REF, "RUN", "runRef"),
        "seals": _channel(
            subjects.seal(run),
            ["seal"],
            "How runs ended that have left the log altogether.",
            subjects.state_stream,
        ),
        "awaiting": _state(subjects, AWAITING, "RUN", "awaiting"),
        "sweeps": _state(subjects, SWEEP, "KEY", "sweep"),
        "readersRollCall": _channel(
            subjects.readers, ["rollCall"], "Who reads these runs? Nothing is kept."
        ),
        "holdersRollCall": _channel(
            subjects.holders, ["rollCall"], "Who executes these runs? Nothing is kept."
        ),
        "idempotencyKeys": _state(subjects, "key", "KEY", "idempotencyKey"),
        "apiKeys": _secret(subjects, API_KEY, "apiKey"),
        "webhooks": _state(subjects, WEBHOOK, "RUN", "webhook"),
        "crons": _state(subjects, CRON, "CRON", "cronRecord"),
        "observers": _state(subjects, OBSERVER, "KEY", "observer"),
        "quotas": _state(subjects, QUOTA, "KEY", "quota"),
        "sharedSecrets": _secret(subjects, SHARED_SECRET, "sharedSecret"),
        "sinks": _state(subjects, SINK, "KEY", "sink"),
        "erasures": _state(subjects, ERASED, "THREAD", "erasure"),
        "jobs": _channel(
            subjects.job("ASSISTANT", "RUN"), ["job"], "The work queue.", subjects.jobs_stream
        ),
        "timers": _channel(
            subjects.timer(RUN_TIMER, "RUN"),
            ["timer"],
            "Runs that wait for their time. It then is kept at the target until a worker has it.",
            subjects.timers_stream,
        ),
        "cronTimers": _channel(
            subjects.timer(CRON, "CRON"),
            ["cronTimer"],
            "When crons fire next. It then is kept at the target until a gateway has it.",
            subjects.timers_stream,
        ),
        "firedTimers": _channel(
            subjects.firing("KIND", "KEY"),
            ["firedTimer"],
            "Timers whose time has come, until they are handled.",
            subjects.timers_stream,
        ),
        "retirement": _channel(
            subjects.job(LINE, "THREAD"),
            ["retirement"],
            "Threads of stateless runs, in line to be removed.",
            subjects.jobs_stream,
        ),
        "calls": _channel(
            subjects.call("ASSISTANT"),
            ["graphQuestion"],
            "Questions to one of the workers that have loaded a graph. Nothing is kept.",
        ),
        "webhookCalls": _channel(
            subjects.job(CALLS, "RUN"),
            ["job"],
            "Webhooks that are to be called.",
            subjects.jobs_stream,
        ),
        "controls": _channel(subjects.control("RUN"), ["nudge"], "Nudges; nothing is kept."),
        "items": _channel(
            subjects.item(["LABEL"], "KEY"),
            ["item"],
            "What LangGraph's store keeps; the newest message of a subject counts.",
            subjects.items_stream,
        ),
        **_checkpoints(subjects),
    }


def _checkpoints(subjects: Subjects) -> dict[str, Any]:
    spelled = CheckpointSubjects(subjects.prefix)
    key = CheckpointKey("THREAD", "LANE", "CHECKPOINT", "ORDER", "RUN")
    stream = subjects.checkpoints_stream
    part = spelled.part(key, 0).removesuffix("0") + "NUMBER"
    claim = "Who may write a thread's checkpoints; the newest message counts."
    return {
        "checkpoints": _channel(
            spelled.place(CheckpointKind.ENTRY, key), ["checkpoint"], "Checkpoints.", stream
        ),
        "keptCheckpoints": _channel(
            spelled.place(CheckpointKind.KEPT, key),
            ["checkpoint"],
            "Checkpoints that were removed, and whose values others refer to.",
            stream,
        ),
        "checkpointNotes": _channel(
            spelled.place(CheckpointKind.NOTE, key),
            ["checkpointNote"],
            "What tasks wrote on checkpoints.",
            stream,
        ),
        "checkpointParts": _channel(
            part, ["checkpointPart"], "Parts of what is too large for one message.", stream
        ),
        "checkpointClaims": _channel(spelled.claim("THREAD"), ["checkpointClaim"], claim, stream),
    }


def _secret(subjects: Subjects, kind: str, message: str) -> dict[str, Any]:
    return _channel(
        subjects.secret(kind, "KEY"),
        [message],
        f"Records of kind `{kind}`; the newest message of a subject counts.",
        subjects.secrets_stream,
    )


def _state(subjects: Subjects, kind: str, key: str, message: str) -> dict[str, Any]:
    what = f"Records of kind `{kind}`; the newest message of a subject counts."
    return _channel(subjects.state(kind, key), [message], what, subjects.state_stream)


def _channel(
    subject: str, names: Sequence[str], description: str, stream: str | None = None
) -> dict[str, Any]:
    """Describe one subject, in which ids that stand for any are in capitals."""
    address = subject
    for name in _PARAMETERS:
        stand_in = name.upper()
        if f".{stand_in}" in subject:
            address = address.replace(f".{shard(stand_in)}.", ".{shard}.", 1)
            address = address.replace(f".{stand_in}", f".{{{name}}}", 1)
    found: Mapping[str, Any] = {
        name: {"description": text}
        for name, text in _PARAMETERS.items()
        if f"{{{name}}}" in address
    }
    return {
        "address": address,
        "description": description,
        "parameters": found,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        **({} if stream is None else {"x-jetstream": {"stream": stream}}),
    }
