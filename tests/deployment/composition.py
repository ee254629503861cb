"""What docker-compose.yml says, as far as this repository uses the format; all else is refused."""

import re
import shlex
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
WITH_TLS = ROOT / "docker-compose.tls.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")
_DURATION = r"^\d+s$"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthcheck(Strict):
    test: list[str] | None = None
    interval: str = Field("30s", pattern=_DURATION)
    timeout: str = Field("30s", pattern=_DURATION)
    retries: int = 3
    disable: bool = False


class Dependency(Strict):
    condition: str = Field(pattern="^service_(started|healthy|completed_successfully)$")


class Deploy(Strict):
    replicas: int = 1


class Service(Strict):
    """One service; the names are the format's."""

    image: str
    build: str | None = None
    command: str = ""
    environment: dict[str, str] = {}
    volumes: list[str] = []
    ports: list[str] = []
    init: bool = False
    restart: str = Field("no", pattern="^(no|on-failure|unless-stopped)$")
    cap_drop: list[str] = []
    security_opt: list[str] = []
    stop_grace_period: str = Field("10s", pattern=_DURATION)
    healthcheck: Healthcheck | None = None
    depends_on: dict[str, Dependency] | list[str] = []
    deploy: Deploy = Deploy()

    @property
    def arguments(self):
        return shlex.split(self.command)

    @property
    def stop_grace_s(self):
        return int(self.stop_grace_period.removesuffix("s"))


def _read(path, environ):
    content = yaml.safe_load(_VARIABLE.sub(lambda name: environ[name[1]], path.read_text()))
    known = {name for name in content if not name.startswith("x-")}
    assert known <= {"services", "volumes"}
    return content


def _merged(service, changes):
    """Return a service with what a second file says of it, as `-f one -f other` merges them."""
    merged = {**service, **changes}
    if "environment" in changes:
        merged["environment"] = {**service["environment"], **changes["environment"]}
    if "volumes" in changes:
        merged["volumes"] = [*service.get("volumes", ()), *changes["volumes"]]
    return merged


class Composition:
    """The services of the file, with the variables of a ``.env`` filled in.

    Args:
        environ: Those variables.
        with_tls: Whether the file with TLS comes on top.
    """

    def __init__(self, environ, *, with_tls=False):
        content = _read(COMPOSE, environ)
        changes = _read(WITH_TLS, environ)["services"] if with_tls else {}
        assert changes.keys() <= content["services"].keys()
        self.volumes = set(content["volumes"])
        self.services = {
            name: Service.model_validate(_merged(each, changes.get(name, {})))
            for name, each in content["services"].items()
        }

    @staticmethod
    def wanted():
        """The variables that a ``.env`` must have."""
        return set(_VARIABLE.findall(COMPOSE.read_text()))
