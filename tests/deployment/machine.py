"""The processes of docker-compose.yml on this machine, without Docker.

Commands, environment and nats.conf are those of the file. Replaced is what containers have of
their own: hosts and ports become ports of 127.0.0.1, mounted paths become directories of the test.
"""

import asyncio
import re
import shutil
import signal
import sys
from pathlib import Path

import aiohttp
from composition import ROOT

from bridge.server.binary import find_server_binary
from bridge.server.free_port import pick_free_port

HOST = "127.0.0.1"
JETRUN = Path(sys.executable).with_name("jetrun")
#: Far above what a start takes on a busy machine.
START_S = 60.0
_ADDRESS = re.compile(r"(?<![\w.])([a-z]+-\d):(\d+)")


def program(name):
    """Return where a program of the system is; servers are not on everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    assert found, f"{name} is not installed"
    return found


class Member:
    """One process of a service; it may be killed, stopped in order, and started again."""

    def __init__(self, name, argv, environment, log, *, is_ready, stop_grace_s):
        self.name = name
        self._argv = argv
        self._environment = environment
        self._log = log
        self._is_ready = is_ready
        self._stop_grace_s = stop_grace_s
        self._process = None
        self._log_start = 0

    def logged(self):
        """What the process has written since it was started."""
        return self._log.read_bytes()[self._log_start :].decode(errors="replace")

    async def start(self):
        """Return when it is ready."""
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_S):
            while not await self._is_ready(self):
                assert self._process.returncode is None, f"{self.name}: {self.logged()[-2000:]}"
                await asyncio.sleep(0.05)

    async def kill(self):
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self):
        """SIGTERM, as `docker compose restart`; it must end in the time that the file gives it."""
        self._process.terminate()
        async with asyncio.timeout(self._stop_grace_s):
            await self._process.wait()

    def signal(self, number):
        self._process.send_signal(number)


class Machine:
    """All services but Prometheus; an async context manager.

    Args:
        directory: Of the volumes and logs; ``tls`` in it has the certificates.
        composition: What is to run.
        extra: Further variables by service, for what a test runs on them.
        common: Those of gateways.
    """

    def __init__(self, directory, composition, extra, common):
        self._directory = directory
        self._extra = dict(extra)
        self._common = common
        self._services = composition.services
        self._ports = {}
        self._session = None
        self.members = {}
        self.url = f"http://{self._at('proxy', 8080)}"

    def _at(self, service, port):
        """The address on this machine that a service's port has."""
        place = service, int(port)
        if place not in self._ports:
            self._ports[place] = pick_free_port(HOST)
        return f"{HOST}:{self._ports[place]}"

    def _here(self, service, text):
        """Replace hosts, addresses to listen on and mounted paths."""
        for volume in self._services[service].volumes:
            source, target = volume.split(":")[:2]
            is_ours = source.startswith("./") and not source.startswith("./tls")
            here = (ROOT if is_ours else self._directory) / source
            text = re.sub(rf"(?<![\w/.-]){re.escape(target)}(?![\w.-])", str(here), text)
        text = text.replace("0.0.0.0:6222", self._at(service, 6222))
        text = text.replace(f"{HOST}:8222", self._at(service, 8222))
        text = text.replace("*:8080", self._at("proxy", 8080)).replace("0.0.0.0", HOST)  # noqa: S104
        return _ADDRESS.sub(lambda found: self._at(found[1], found[2]), text)

    async def __aenter__(self):
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        try:
            await self._start_all()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_):
        await self._end()

    async def _end(self):
        for member in reversed(self.members.values()):
            await member.kill()
        await self._session.close()

    async def _start_all(self):
        nodes = [await self._nats(f"nats-{number}") for number in (1, 2, 3)]
        await asyncio.gather(*(node.start() for node in nodes))
        await self.run("streams")
        await asyncio.gather(
            *(self._gateway(f"gateway-{number}").start() for number in (1, 2)),
            *(
                self._ours(f"{role}-{number}", role, _says(f"{role}.ready", "sink.standby")).start()
                for role in ("worker", "sink")
                for number in (1, 2)
            ),
        )
        await self._proxy().start()

    async def _nats(self, name):
        for volume in self._services[name].volumes:
            if not volume.startswith("./"):
                (self._directory / volume.split(":")[0]).mkdir(parents=True, exist_ok=True)
        port = self._at(name, 4222).rpartition(":")[2]
        argv = [await find_server_binary(), *self._arguments(name), "-a", HOST, "-p", port]
        healthz = f"http://{self._at(name, 8222)}/healthz"
        return self._member(name, name, argv, _answers(self._session, healthz))

    def _gateway(self, name):
        port = self._at(name, 2024).rpartition(":")[2]
        self._extra[name] = {**self._common, "JETRUN_HTTP__PORT": port}
        readyz = f"http://{self._at(name, 2024)}/readyz"
        return self._ours(name, name, _answers(self._session, readyz))

    def _ours(self, name, service, is_ready):
        argv = [JETRUN, *self._arguments(service)]
        return self._member(name, service, argv, is_ready)

    def _proxy(self):
        configuration = ROOT / "ops/haproxy/haproxy.cfg"
        # As the image does: a master, whose workers are replaced without closing what listens.
        argv = [program("haproxy"), "-W", "-db", "-f", configuration]
        return self._member("proxy", "proxy", argv, _answers(self._session, f"{self.url}/readyz"))

    def _arguments(self, service):
        return [self._here(service, each) for each in self._services[service].arguments]

    def _environment(self, service):
        given = {
            name: self._here(service, text)
            for name, text in self._services[service].environment.items()
        }
        given |= dict.fromkeys(given.keys() & METRICS_PORTS, "0")
        return {"PATH": PATH, "PYTHONPATH": str(ROOT), **given, **self._extra.get(service, {})}

    def _member(self, name, service, argv, is_ready):
        grace_s = self._services[service].stop_grace_s
        log = self._directory / f"{name}.log"
        member = Member(
            name,
            argv,
            self._environment(service),
            log,
            is_ready=is_ready,
            stop_grace_s=grace_s,
        )
        self.members[name] = member
        return member

    async def run(self, service, *arguments):
        """Run a command of ours to its end with a service's environment; return what it prints."""
        argv = [JETRUN, *(arguments or self._arguments(service))]
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=self._environment(service),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(START_S):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    def reload_proxy(self):
        """Have the proxy's worker replaced; what is under way there ends by itself.

        Returns:
            Says whether it was.
        """
        proxy = self.members["proxy"]
        before = proxy.logged().count("forked")
        proxy.signal(signal.SIGUSR2)
        return lambda: proxy.logged().count("forked") > before

    @property
    def archive(self):
        return self._directory / "archive"

    def active_sink(self):
        """Tell the sink that writes from the one that waits."""
        lines = {name: self.members[name].logged() for name in ("sink-1", "sink-2")}
        return next(name for name, text in lines.items() if "sink.ready" in text)


METRICS_PORTS = {"JETRUN_METRICS__WORKER_PORT", "JETRUN_METRICS__SINK_PORT"}
PATH = "/usr/local/bin:/usr/bin:/bin"


def _answers(session, url):
    async def is_ready(_):
        try:
            async with session.get(url) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    return is_ready


def _says(*words):
    async def is_ready(member):
        return any(word in member.logged() for word in words)

    return is_ready
