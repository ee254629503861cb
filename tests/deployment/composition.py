"""What docker-compose.yml says, as far as this repository uses the format; all else is refused."""

import re
import shlex
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[2]
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


class Composition:
    """The services of the file, with the variables of a ``.env`` filled in."""

    def __init__(self, environ, path=ROOT / "docker-compose.yml"):
        content = yaml.safe_load(_VARIABLE.sub(lambda name: environ[name[1]], path.read_text()))
        shared = {name for name in content if name.startswith("x-")}
        assert content.keys() - shared == {"services", "volumes"}
        self.volumes = set(content["volumes"])
        self.services = {
            name: Service.model_validate(each) for name, each in content["services"].items()
        }

    @classmethod
    def wanted(cls, path=ROOT / "docker-compose.yml"):
        """The variables that a ``.env`` must have."""
        return set(_VARIABLE.findall(path.read_text()))
