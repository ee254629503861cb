"""All settings of a process, built once at its entry point and passed down.

Flags come before the environment, the environment before the configuration file, and that before
the defaults. A name that is no setting is an error in each of them.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from api.auth.settings import AuthSettings
from api.config_file import read_config_file
from api.http_settings import HttpSettings
from api.limits.settings import LimitSettings
from api.settings_origins import SettingsOrigins, section_of
from api.startup_errors import InvalidSettingsError
from api.webhooks.settings import WebhookSettings
from bridge import (
    BridgeSettings,
    CheckpointSettings,
    EmbeddedServerSettings,
    ItemSettings,
    LoggingSettings,
    LogSettings,
    MetricsSettings,
    NatsSettings,
    RetentionSettings,
    TracingSettings,
    UnknownSettingError,
    check_environment,
)
from bridge.settings import ENVIRONMENT_PREFIX
from runs import (
    AssistantName,
    AssistantSettings,
    ExpirySettings,
    GraphSettings,
    ReadModelSettings,
    RunSettings,
    WorkerSettings,
)
from store import ArchiveSettings

DELIMITER: Final = "__"


class Role(StrEnum):
    """What a process of the system does."""

    GATEWAY = "gateway"
    WORKER = "worker"
    SINK = "sink"


class Settings(BaseSettings):
    """The settings of every process; each reads the sections that concern it.

    Build it with :func:`load_settings`, which explains what is wrong in terms of flags, variables
    and files.

    Attributes:
        nats: How to reach the NATS server.
        embedded: The NATS server that is started when ``nats`` names none.
        log: The event log.
        retention: How much of it stays.
        checkpoints: What a checkpoint may be.
        items: What an item that processes share may be.
        runs: How runs are admitted.
        read_model: How threads and runs are searched.
        expiry: When ended runs and threads at rest are deleted.
        worker: How runs are executed.
        assistants: What can be run beside the built-in assistants, by name.
        graphs: What the graphs of a worker share.
        archive: The files.
        http: Where the gateway listens.
        limits: What one gateway bears from its clients.
        auth: How callers of the gateway prove who they are.
        webhooks: Who is told that a run has ended.
        logging: What processes tell about themselves.
        metrics: Where workers and sinks tell their figures.
        tracing: Whether each event's way is traced.
        data: The directory that holds the archive, and the store of an embedded NATS server.
        roles: What ``jetrun serve`` runs.
        config: The configuration file.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    nats: NatsSettings = NatsSettings()
    embedded: EmbeddedServerSettings = EmbeddedServerSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    items: ItemSettings = ItemSettings()
    runs: RunSettings = RunSettings()
    read_model: ReadModelSettings = ReadModelSettings()
    expiry: ExpirySettings = ExpirySettings()
    worker: WorkerSettings = WorkerSettings()
    assistants: dict[AssistantName, AssistantSettings] = Field(default_factory=dict)
    graphs: GraphSettings = GraphSettings()
    archive: ArchiveSettings = ArchiveSettings()
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    auth: AuthSettings = AuthSettings()
    webhooks: WebhookSettings = WebhookSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    data: Path = Path(".jetrun")
    roles: Annotated[tuple[Role, ...], NoDecode, Field(min_length=1)] = tuple(Role)
    config: Path | None = None

    @field_validator("roles", mode="before")
    @classmethod
    def _roles_may_be_a_comma_list(cls, value: object) -> object:
        if isinstance(value, str):
            names = value.strip("[]").replace('"', "").split(",")
            return tuple(name.strip() for name in names)
        return value

    @property
    def bridge(self) -> BridgeSettings:
        """The sections that a bridge is made from."""
        return BridgeSettings(
            nats=self.nats,
            log=self.log,
            retention=self.retention,
            checkpoints=self.checkpoints,
            items=self.items,
            tracing=self.tracing,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library names them all
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put flags first, then the environment, then the file that one of them names."""
        return init_settings, env_settings, _FileSource(settings_cls)


class _FileSource(PydanticBaseSettingsSource):
    """The content of the configuration file, once the sources before it have named one."""

    def get_field_value(self, *_: object) -> tuple[Any, str, bool]:
        """Give nothing: the file is taken as a whole."""
        return None, "", False

    def __call__(self) -> dict[str, Any]:
        path = self.current_state.get("config")
        return read_config_file(Path(path)) if path else {}


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Build the settings of this process from flags, environment, file and defaults.

    Args:
        flags: What the command line gave, in the shape of the settings; the rest left out.

    Raises:
        UnknownSettingError: A ``JETRUN_*`` variable names no section.
        ConfigFileError: The configuration file cannot be read.
        InvalidSettingsError: A name or a value is wrong; each problem says where it stands.
    """
    given = dict(flags or {})
    check_environment(os.environ)
    _refuse_parts_of_plain_settings(os.environ)
    try:
        return Settings(**given)
    except ValidationError as exc:
        origins = SettingsOrigins(Settings, given)
        raise InvalidSettingsError([origins.explain(error) for error in exc.errors()]) from exc


def shown_settings(settings: Settings) -> str:
    """Return the settings as JSON for people: credentials are masked, also those in URLs."""
    return _USER_INFO.sub("//**********@", settings.model_dump_json(indent=2))


#: Of a URL in a JSON text: no further than the text, or the URL behind a comma.
_USER_INFO: Final = re.compile(r'//(?:[^/@,"\\]|\\.)*@')


def _refuse_parts_of_plain_settings(environ: Mapping[str, str]) -> None:
    # pydantic-settings passes over JETRUN_DATA__DIR, because `data` has no parts.
    for name in environ:
        section, delimiter, _ = name.upper().removeprefix(ENVIRONMENT_PREFIX).partition(DELIMITER)
        if name.upper().startswith(ENVIRONMENT_PREFIX) and delimiter:
            field = Settings.model_fields.get(section.lower())
            if field is not None and section_of(field.annotation) is None:
                raise UnknownSettingError(name, section)
