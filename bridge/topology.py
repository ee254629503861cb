"""The JetStream assets of the system: what they must be, made where absent, verified where not.

Nothing that exists is changed: a difference is an error that names the field.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bridge.connection import Connection
from bridge.errors import (
    AccessDeniedError,
    ApiError,
    JetStreamDisabledError,
    ServerTooOldError,
    StreamsMissingError,
    TopologyDriftError,
)
from bridge.reservation import create_reserved
from bridge.settings import BridgeSettings, LogSettings
from bridge.stream_info import find_stream
from bridge.subjects import CheckpointSubjects, Subjects

MIN_SERVER: Final = (2, 12)
NAME_IN_USE: Final = 10058
#: The cluster has fewer nodes than replicas are wanted, as far as its leader has met them.
NO_PEERS: Final = 10005
DUPLICATE_WINDOW_S: Final = 120
_NANOSECONDS: Final = 1_000_000_000

StreamConfig = Mapping[str, Any]
Make = Callable[[Connection, StreamConfig], Awaitable[dict[str, Any]]]


class Drift(NamedTuple):
    """A field of a stream that is not as the settings want it."""

    field: str
    wanted: Any
    found: Any


def check_server(version: str) -> None:
    """Refuse a server that lacks atomic batches, message TTLs or batch Direct Get.

    Raises:
        ServerTooOldError: It is older than 2.12.
    """
    numbers = [int(part) for part in version.split("-", 1)[0].split(".")[:2] if part.isdigit()]
    if tuple(numbers) < MIN_SERVER:
        raise ServerTooOldError(version, ".".join(map(str, MIN_SERVER)))


def streams(settings: BridgeSettings) -> list[StreamConfig]:
    """Return the configuration of every stream."""
    log = settings.log
    subjects = Subjects(log.prefix)
    max_events = settings.retention.max_events_per_run if log.profile == "cache" else -1
    others = [_records(log, subjects.state_stream, subjects.all_state)]
    others.append(_records(log, subjects.secrets_stream, subjects.all_secrets))
    others += [kind(log, subjects) for kind in (_jobs, _timers, _dead)]
    others.append(_checkpoints(log, subjects, settings.checkpoints.max_total_bytes))
    others.append(_items(log, subjects, settings.items.max_total_bytes))
    # The log comes last: without a size of its own it takes of what the others leave.
    return [*others, _events(log, subjects, max_events)]


def _events(settings: LogSettings, subjects: Subjects, max_events: int) -> StreamConfig:
    size = {} if settings.max_bytes is None else {"max_bytes": settings.max_bytes}
    return {
        "name": subjects.events_stream,
        "subjects": [subjects.all_events],
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        **size,
        "max_msgs_per_subject": max_events,
        # Old events leave by trimming, which spares what is not archived; a full log pushes back.
        "discard": "new",
        "discard_new_per_subject": False,
        "max_consumers": settings.max_consumers,
        "duplicate_window": DUPLICATE_WINDOW_S * _NANOSECONDS,
        "allow_direct": True,
        "allow_atomic": True,
        "allow_msg_ttl": True,
        "allow_rollup_hdrs": True,
        "republish": {"src": subjects.all_events, "dest": subjects.all_live},
    }


def _records(settings: LogSettings, name: str, subject: str) -> StreamConfig:
    return {
        "name": name,
        "subjects": [subject],
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs_per_subject": 1,
        "max_bytes": -1,
        "max_age": 0,
        "discard": "old",
        "allow_direct": True,
        "allow_rollup_hdrs": True,
    }


def _jobs(settings: LogSettings, subjects: Subjects) -> StreamConfig:
    return {
        "name": subjects.jobs_stream,
        "subjects": [subjects.all_jobs],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs_per_subject": 1,
        "discard": "new",
        "discard_new_per_subject": True,
        "allow_direct": True,
    }


def _timers(settings: LogSettings, subjects: Subjects) -> StreamConfig:
    return {
        "name": subjects.timers_stream,
        "subjects": [subjects.all_timers],
        # A firing leaves when it is acknowledged; what is set stays, because nobody consumes it.
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs_per_subject": 1,
        # The server refuses schedules in a stream that discards new messages (10052).
        "discard": "old",
        "allow_direct": True,
        "allow_msg_schedules": True,
    }


def _dead(settings: LogSettings, subjects: Subjects) -> StreamConfig:
    return {
        "name": subjects.dead_stream,
        "subjects": [subjects.all_dead],
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs": settings.max_dead_letters,
        "max_bytes": settings.max_dead_letter_bytes,
        "max_age": int(settings.dead_letter_age_s * _NANOSECONDS),
        # A full stream must not keep consumers from giving an event up.
        "discard": "old",
        "duplicate_window": DUPLICATE_WINDOW_S * _NANOSECONDS,
        "allow_direct": True,
    }


def _checkpoints(settings: LogSettings, subjects: Subjects, max_bytes: int | None) -> StreamConfig:
    return {
        "name": subjects.checkpoints_stream,
        "subjects": CheckpointSubjects(subjects.prefix).all,
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs_per_subject": -1,
        "max_bytes": max_bytes or -1,
        "max_age": 0,
        "discard": "new",
        "duplicate_window": DUPLICATE_WINDOW_S * _NANOSECONDS,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "allow_rollup_hdrs": True,
    }


def _items(settings: LogSettings, subjects: Subjects, max_bytes: int | None) -> StreamConfig:
    return {
        "name": subjects.items_stream,
        "subjects": [subjects.all_items],
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "max_msgs_per_subject": 1,
        "max_bytes": max_bytes or -1,
        "max_age": 0,
        "discard": "new",
        "duplicate_window": DUPLICATE_WINDOW_S * _NANOSECONDS,
        "allow_direct": True,
        "allow_msg_ttl": True,
    }


async def make_streams(settings: BridgeSettings) -> list[StreamConfig]:
    """Make and verify all streams over a connection of its own, as a user who may.

    Raises:
        BridgeError: As :meth:`Connection.open` and :func:`ensure_streams` say.
    """
    connection = Connection(settings, name="jetrun-streams")
    await connection.open()
    try:
        return await ensure_streams(connection, settings)
    finally:
        await connection.close()


async def ensure_streams(connection: Connection, settings: BridgeSettings) -> list[StreamConfig]:
    """Make every stream that is absent, and verify the others.

    Returns:
        How each of them is.

    Raises:
        ServerTooOldError: The server is older than 2.12; nothing was created.
        JetStreamDisabledError: The account has no JetStream; nothing was created.
        TopologyDriftError: A stream differs from what is wanted; it was not changed.
        StreamsMissingError: One is absent, and this user may not make it.
        UnavailableError: The server fell silent; call again.
    """
    check_server(connection.server_version)
    if not connection.has_jetstream:
        raise JetStreamDisabledError("the server runs without it")
    takes_what_is_left = (
        Subjects(settings.log.prefix).events_stream if settings.log.max_bytes is None else None
    )
    found = []
    for wanted in streams(settings):
        make = create_reserved if wanted["name"] == takes_what_is_left else _create_at_once
        found.append(await _ensure(connection, wanted, make))
    return found


async def _ensure(connection: Connection, wanted: StreamConfig, make: Make) -> StreamConfig:
    name = wanted["name"]
    found = await find_stream(connection, name)
    if found is None:
        try:
            found = await _create(connection, wanted, make)
        except AccessDeniedError as denied:
            raise StreamsMissingError(name) from denied
    config: StreamConfig = found["config"]
    _verify(name, wanted, config)
    return config


async def _create_at_once(connection: Connection, wanted: StreamConfig) -> dict[str, Any]:
    return await connection.api(f"$JS.API.STREAM.CREATE.{wanted['name']}", wanted)


async def _create(connection: Connection, wanted: StreamConfig, make: Make) -> dict[str, Any]:
    name = wanted["name"]
    outage = connection.outage(f"creating stream {name}: too few servers for its replicas")
    while True:
        try:
            return await make(connection, wanted)
        except ApiError as error:
            if error.err_code == NAME_IN_USE:
                # Another process made it at the same moment, with another configuration.
                return await connection.api(f"$JS.API.STREAM.INFO.{name}")
            if error.err_code != NO_PEERS:
                raise
            # The nodes of a cluster that has just started find each other within a second.
            await outage.wait()


def _verify(name: str, wanted: StreamConfig, found: Mapping[str, Any]) -> None:
    for field, value, actual in differences(wanted, found):
        raise TopologyDriftError(f"stream {name}", field, value, actual)


def differences(wanted: StreamConfig, found: Mapping[str, Any]) -> Iterator[Drift]:
    """Yield each field that is not as wanted."""
    for field, value in wanted.items():
        # The server leaves out fields that hold their zero value.
        actual = found.get(field, type(value)())
        if isinstance(value, Mapping):
            actual = {key: actual.get(key) for key in value}
        if actual != value:
            yield Drift(field, value, actual)
