"""What an embedded server may be told, and how ``nats.conf`` hears it.

The configuration is the repository's ``nats.conf``, unchanged. Values reach it through environment
variables, so that credentials show neither in a file nor in the process list.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bridge.server.membership import ClusterMembership
from bridge.server.users import ServerPasswords

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB

#: Port 0 turns a listener off: two servers on one machine must not fight for a port.
_NOWHERE = "127.0.0.1:0"

_USER = r"^[A-Za-z0-9_.~-]{1,64}$"
_PRINTABLE = r"[\x20-\x7e]{1,256}"


class EmbeddedServerSettings(BaseModel):
    """How to run one embedded nats-server.

    Attributes:
        port: TCP port on 127.0.0.1; None takes a free one.
        user: The operator, who may do everything.
        password: Its password; None makes one for each server object.
        binary: The nats-server to execute; None finds it.
        sync_always: Force each write to disk before it is acknowledged; otherwise every two
            minutes, which loses nothing when a process is killed but may in a power cut.
        max_payload_bytes: Largest message the server accepts.
        max_file_store_bytes: Room for all streams of the server.
        start_timeout_s: Seconds until the server must be ready, recovery of its store included.
        stop_grace_s: Seconds between SIGTERM and SIGKILL.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int | None = Field(default=None, ge=1, le=65535)
    user: str = Field(default="jetrun", pattern=_USER)
    password: SecretStr | None = None
    binary: Path | None = None
    sync_always: bool = False
    max_payload_bytes: int = Field(default=8 * _MIB, ge=_KIB, le=64 * _MIB)
    max_file_store_bytes: int = Field(default=16 * _GIB, ge=_MIB)
    start_timeout_s: float = Field(default=30.0, gt=0, le=600)
    stop_grace_s: float = Field(default=10.0, gt=0, le=120)

    @field_validator("password")
    @classmethod
    def _password_means_itself(cls, password: SecretStr | None) -> SecretStr | None:
        if password is None:
            return None
        text = password.get_secret_value()
        # The server would take such a password for the bcrypt hash of another one.
        if not re.fullmatch(_PRINTABLE, text) or text.startswith("$2"):
            msg = "must be 1 to 256 printable ASCII characters and not start with '$2'"
            raise ValueError(msg)
        return password


def find_nats_conf() -> Path:
    """Return the configuration file: beside this module in a wheel, else at the repository root."""
    packaged = Path(__file__).with_name("nats.conf")
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "nats.conf"


def nats_conf_variables(
    settings: EmbeddedServerSettings,
    store_dir: Path,
    passwords: ServerPasswords,
    membership: ClusterMembership | None = None,
) -> dict[str, str]:
    """Return every environment variable that ``nats.conf`` refers to.

    Args:
        settings: Limits and the operator's name.
        store_dir: Absolute path of the directory for the JetStream files.
        passwords: Of all users.
        membership: The server's place in a cluster; None leaves it on its own.
    """
    users = {
        f"NATS_{user.upper()}_PASSWORD": _quoted(password.get_secret_value())
        for user, password in passwords.users.items()
    }
    routes = [] if membership is None else membership.routes(passwords.routes)
    return {
        "NATS_USER": _quoted(settings.user),
        "NATS_PASSWORD": _quoted(passwords.operator.get_secret_value()),
        **users,
        "NATS_STORE_DIR": _quoted(str(store_dir)),
        "NATS_SYNC_INTERVAL": _quoted("always" if settings.sync_always else "2m"),
        "NATS_MAX_FILE_STORE": str(settings.max_file_store_bytes),
        "NATS_MAX_PAYLOAD": str(settings.max_payload_bytes),
        "NATS_MONITOR": _quoted(_NOWHERE),
        "NATS_CLUSTER": _quoted(_NOWHERE if membership is None else membership.address),
        "NATS_ROUTES": json.dumps(routes),
        "NATS_ROUTE_PASSWORD": _quoted(passwords.routes.get_secret_value()),
    }


def _quoted(text: str) -> str:
    # The server parses a variable's value as configuration, where a backslash escapes.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
