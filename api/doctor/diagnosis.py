"""Examines a deployment through a connection of its own, whatever state it is in."""

from collections.abc import Iterator

from api.doctor.archive_checks import check_disk, check_sink
from api.doctor.report import SURVIVES, Cause, Finding, Report, Severity, worst_first
from api.doctor.server_checks import check_server, check_streams, durability_of, no_jetstream
from api.doctor.stores import Stores, find_stores
from api.settings import Settings
from bridge import (
    AccessDeniedError,
    ApiError,
    Examiner,
    JetStreamDisabledError,
    ServerFacts,
    UnavailableError,
)
from store import SinkRecords, SinkStatus


async def diagnose(settings: Settings) -> Report:
    """Look at server, streams, sink, disks and clock; nothing is changed.

    Takes at most the time-outs of the connection; what cannot be looked at is a finding.
    """
    stores = await find_stores(settings)
    try:
        async with Examiner(settings.bridge) as examiner:
            server = await examiner.examine()
            has_records = server.has_jetstream and not server.missing
            status = await SinkRecords(examiner).find_status() if has_records else None
    except AccessDeniedError as error:
        return _nothing_known(_denied(error), stores)
    except JetStreamDisabledError as error:
        return _nothing_known(no_jetstream(str(error)), stores)
    except (UnavailableError, ApiError) as error:
        return _nothing_known(_unreachable(error), stores)
    durability = None if server.events is None else durability_of(server.events, stores)
    return Report(
        server_version=server.version,
        durability=durability,
        survives=None if durability is None else SURVIVES[durability],
        logical_bytes=server.stored_bytes,
        disk_bytes=stores.used_bytes,
        findings=worst_first(_findings(settings, server, stores, status)),
    )


def _nothing_known(finding: Finding, stores: Stores) -> Report:
    return Report(
        server_version=None,
        durability=None,
        survives=None,
        logical_bytes=None,
        disk_bytes=stores.used_bytes,
        findings=[finding],
    )


def _findings(
    settings: Settings, server: ServerFacts, stores: Stores, status: SinkStatus | None
) -> Iterator[Finding]:
    yield from check_server(server)
    yield from check_streams(server, stores)
    if settings.log.profile == "archive" and server.events is not None:
        yield from check_sink(status)
    for disk in stores.disks:
        yield from check_disk(disk)


def _denied(error: AccessDeniedError) -> Finding:
    return Finding(
        cause=Cause.ACCESS_DENIED,
        severity=Severity.ERROR,
        detail=str(error),
        advice="set JETRUN_NATS__USER and JETRUN_NATS__PASSWORD, or JETRUN_NATS__TOKEN, to what "
        "the server's configuration has",
    )


def _unreachable(error: UnavailableError | ApiError) -> Finding:
    return Finding(
        cause=Cause.SERVER_UNREACHABLE,
        severity=Severity.ERROR,
        detail=str(error),
        advice="see that nats-server runs, and that JETRUN_NATS__URL is its address from here",
    )
