"""What each user of the NATS server may do: the least that its role needs.

Everything is spelled from the names that the code uses, so that the two cannot part.
``python -m api.nats_permissions [PREFIX]`` prints the users of ``nats.conf``, which holds them for
the default prefix.

Whoever may create a consumer names where its messages go, so these users keep accidents and
curiosity apart, and none of them is for people who are not trusted with the events themselves.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.access import inbox_prefix
from bridge.awaiting import AWAITING
from bridge.retention.shard_claims import SWEEP
from bridge.server.users import NatsUser
from bridge.state import REF
from bridge.subjects import CheckpointSubjects, Subjects
from runs.crons.crons import CRON
from runs.quotas import QUOTA
from runs.records import RUN, THREAD
from runs.run_timers import RUN_TIMER
from runs.webhooks.announcing import LINE as WEBHOOK_LINE
from runs.webhooks.announcing import WEBHOOK
from store.sink_status import CONSUMER as SINK_CONSUMER
from store.sink_status import SINK

#: What a service that reads all events is called, as a user and as a durable consumer.
ANALYTICS_CONSUMER: Final = "analytics"
#: Messages in which one question may be answered.
MAX_RESPONSES: Final = 1000
#: Of the state records, those that executing and ending runs writes.
_WORKER_KINDS: Final = (REF, AWAITING, SWEEP, RUN, THREAD, QUOTA, WEBHOOK)


@dataclass(frozen=True)
class Permissions:
    """Subjects of one user, with wildcards; what is denied is taken from what is allowed."""

    publish: Sequence[str]
    subscribe: Sequence[str]
    denied: Sequence[str] = ()


class _Api:
    """The subjects below which JetStream is asked about one stream."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self.info = f"$JS.API.STREAM.INFO.{stream}"
        self.purge = f"$JS.API.STREAM.PURGE.{stream}"
        self.reading = (f"$JS.API.STREAM.MSG.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}")
        self.consumers = f"$JS.API.CONSUMER.LIST.{stream}"
        self.naming = (f"$JS.API.CONSUMER.NAMES.{stream}", f"$JS.API.CONSUMER.DELETE.{stream}.*")

    def taking(self, consumer: str) -> tuple[str, ...]:
        """Return what moves the position of a durable consumer."""
        return (
            f"$JS.API.CONSUMER.DURABLE.CREATE.{self._stream}.{consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}",
            f"$JS.ACK.{self._stream}.{consumer}.>",
        )

    def consuming(self, consumer: str) -> tuple[str, ...]:
        """Return what opens a durable consumer, and reads from it."""
        return (f"$JS.API.CONSUMER.INFO.{self._stream}.{consumer}", *self.taking(consumer))

    def foreign(self, consumer: str) -> tuple[str, ...]:
        """Return what would take a durable consumer's messages, or the consumer itself."""
        return (
            f"$JS.API.CONSUMER.DELETE.{self._stream}.{consumer}",
            *self.taking(consumer),
        )


class Roles:
    """The permissions of all users below one prefix.

    Args:
        prefix: The first token of every subject.
    """

    def __init__(self, prefix: str = "jetrun") -> None:
        self._subjects = subjects = Subjects(prefix)
        self._checkpoints = CheckpointSubjects(prefix)
        self._events = _Api(subjects.events_stream)
        self._state = _Api(subjects.state_stream)
        self._secrets = _Api(subjects.secrets_stream)
        self._jobs = _Api(subjects.jobs_stream)
        self._timers = _Api(subjects.timers_stream)
        self._dead = _Api(subjects.dead_stream)
        self._checkpoint = _Api(subjects.checkpoints_stream)
        self._items = _Api(subjects.items_stream)

    def of(self, user: NatsUser) -> Permissions:
        """Return what a user may do."""
        match user:
            case NatsUser.GATEWAY:
                return self._gateway()
            case NatsUser.WORKER:
                return self._worker()
            case NatsUser.SINK:
                return self._sink()
            case NatsUser.ANALYTICS:
                return self._analytics()

    def _gateway(self) -> Permissions:
        subjects = self._subjects
        consumers = (
            self._events.consumers,
            self._jobs.consumers,
            *self._events.naming,
            *self._events.consuming("*"),
            *self._jobs.consuming(f"work_{WEBHOOK_LINE}"),
            *self._timers.consuming(f"fired_{CRON}"),
        )
        foreign = (*self._events.foreign(SINK_CONSUMER), *self._events.foreign(ANALYTICS_CONSUMER))
        return Permissions(
            publish=(
                *self._everyone(NatsUser.GATEWAY),
                *self._run_control(),
                *self._secrets.reading,
                subjects.all_secrets,
                subjects.all_state,
                subjects.all_calls,
                *consumers,
            ),
            denied=(*foreign, subjects.states(SINK)),
            subscribe=self._heard_by(NatsUser.GATEWAY),
        )

    def _worker(self) -> Permissions:
        subjects = self._subjects
        return Permissions(
            publish=(
                *self._everyone(NatsUser.WORKER),
                *self._run_control(),
                *(subjects.states(kind) for kind in _WORKER_KINDS),
                subjects.all_seals,
                *self._jobs.consuming("*"),
                *self._timers.consuming(f"fired_{RUN_TIMER}"),
            ),
            denied=self._jobs.foreign(f"work_{WEBHOOK_LINE}"),
            subscribe=(
                *self._heard_by(NatsUser.WORKER),
                subjects.holders,
                subjects.all_controls,
                subjects.all_calls,
            ),
        )

    def _sink(self) -> Permissions:
        subjects = self._subjects
        return Permissions(
            publish=(
                *self._everyone(NatsUser.SINK),
                *self._state.reading,
                self._events.purge,
                *self._events.consuming(SINK_CONSUMER),
                subjects.states(SINK),
                subjects.all_seals,
                subjects.all_live,
                subjects.readers,
            ),
            subscribe=self._heard_by(NatsUser.SINK),
        )

    def _analytics(self) -> Permissions:
        return Permissions(
            publish=(
                *self._everyone(NatsUser.ANALYTICS),
                *self._events.consuming(ANALYTICS_CONSUMER),
                *self._dead.reading,
                self._subjects.dead_letters(ANALYTICS_CONSUMER),
            ),
            subscribe=self._heard_by(NatsUser.ANALYTICS),
        )

    def _everyone(self, user: NatsUser) -> Iterable[str]:
        """What every process with a bridge does: its own inbox, and a look at all streams."""
        streams = (
            self._events,
            self._state,
            self._secrets,
            self._jobs,
            self._timers,
            self._dead,
            self._checkpoint,
            self._items,
        )
        return (f"{inbox_prefix(user)}.>", *(each.info for each in streams), *self._events.reading)

    def _heard_by(self, user: NatsUser) -> tuple[str, ...]:
        return (f"{inbox_prefix(user)}.>", self._subjects.all_live, self._subjects.readers)

    def _run_control(self) -> Iterable[str]:
        """What gateways and workers share: both create, execute in part, end and delete runs."""
        subjects = self._subjects
        kept = (self._state, self._dead, self._checkpoint, self._items)
        purged = (self._events, self._timers, self._dead, self._checkpoint, self._items)
        return (
            *(subject for each in kept for subject in each.reading),
            *(each.purge for each in purged),
            subjects.all_events,
            # The server answers whether anybody is subscribed; nothing is sent there.
            subjects.all_live,
            subjects.all_jobs,
            subjects.all_set_timers,
            *self._checkpoints.all,
            subjects.all_items,
            subjects.all_controls,
            subjects.readers,
            subjects.holders,
        )


def render_users(prefix: str = "jetrun") -> str:
    """Return the users as ``nats.conf`` has them, to be put into a list."""
    roles = Roles(prefix)
    return "".join(_render(user, roles.of(user)) for user in NatsUser)


def _render(user: NatsUser, permissions: Permissions) -> str:
    # Answers to questions go to other users' inboxes; a large one goes in parts.
    return f"""\
      {{
        user: {user}
        password: $NATS_{user.upper()}_PASSWORD
        permissions: {{
          publish: {{
{_list("allow", permissions.publish)}{_list("deny", permissions.denied)}\
          }}
          subscribe: {{
{_list("allow", permissions.subscribe)}\
          }}
          allow_responses: {{ max: {MAX_RESPONSES}, expires: "1m" }}
        }}
      }}
"""


def _list(name: str, subjects: Sequence[str]) -> str:
    if not subjects:
        return ""
    lines = "".join(f'              "{subject}"\n' for subject in subjects)
    return f"            {name}: [\n{lines}            ]\n"


if __name__ == "__main__":
    sys.stdout.write(render_users(*sys.argv[1:2]))
