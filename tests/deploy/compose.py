"""`docker-compose.yml` read and run without containers: the same files, flags and order.

Images become programs on this machine, mounts become folders, and the addresses that services have
for each other become ports on loopback. Nothing else is changed.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml

from tests.support import loopback
from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import BETWEEN_LOOKS, NEWER, ROOT, free_address

FILE = ROOT / "docker-compose.yml"
BETWEEN_LOOKS_SECONDS = 0.2
PROGRAMS = {"prom/prometheus": "prometheus", "prom/alertmanager": "prometheus-alertmanager"}
"""What an image starts, by its name without the version."""


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Put values in as Compose does: `${NAME}`, `${NAME:-default}` and `$$`."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return values.get(found["name"]) or found["default"] or ""

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}", value, text)


@dataclass(frozen=True)
class Service:
    """One service, as the file has it."""

    name: str
    told: Mapping[str, object]

    def table(self, key: str) -> dict[str, str]:
        """A mapping of the service, empty if it has none."""
        found = self.told.get(key, {})
        assert isinstance(found, Mapping)
        return {str(k): str(v) for k, v in found.items() if v is not None}

    def variables(self, values: Mapping[str, str]) -> dict[str, str]:
        """The container's variables: of `.env` where it is read, and by name where it is not."""
        told = self.told.get("environment", {})
        assert isinstance(told, Mapping)
        by_name = {k: values[k] for k, v in told.items() if v is None and k in values}
        of_file = values if "env_file" in self.told else {}
        return {**of_file, **by_name, **self.table("environment")}

    def words(self, key: str) -> list[str]:
        """A list of the service, empty if it has none."""
        found = self.told.get(key, [])
        assert isinstance(found, list)
        return [str(word) for word in found]

    @property
    def image(self) -> tuple[str, str]:
        """Name and version."""
        name, _, version = str(self.told["image"]).rpartition(":")
        return name, version

    @property
    def mounts(self) -> list[tuple[str, str]]:
        """What is mounted, and where."""
        parts = [mount.split(":") for mount in self.words("volumes")]
        return [(source, target) for source, target, *_ in parts]

    @cached_property
    def needs(self) -> dict[str, str]:
        """The services before this one, and what must be true of each."""
        found = self.told.get("depends_on", {})
        assert isinstance(found, Mapping)
        return {str(name): str(condition["condition"]) for name, condition in found.items()}

    @property
    def is_run_once(self) -> bool:
        """Whether it ends by itself."""
        return str(self.told["restart"]) == "no"

    @property
    def health_check(self) -> list[str]:
        """The command that says whether it is healthy."""
        found = self.told.get("healthcheck", {})
        assert isinstance(found, Mapping)
        return [str(word) for word in found.get("test", ["CMD"])][1:]


def services(values: Mapping[str, str]) -> list[Service]:
    """The services in an order in which each comes after those that it needs."""
    told = yaml.safe_load(interpolate(FILE.read_text(encoding="utf-8"), values))["services"]
    by_name = {name: Service(name, each) for name, each in told.items()}
    order = TopologicalSorter({name: set(each.needs) for name, each in by_name.items()})
    return [by_name[name] for name in order.static_order()]


class Machine:
    """Where the services run: folders for their volumes, addresses for their ports."""

    def __init__(self, folder: Path, values: Mapping[str, str]) -> None:
        self.folder = folder
        self.values = dict(values)
        self.addresses = {
            address: free_address()
            for address in ("exporter:9877", "alertmanager:9093", "prometheus:9090")
        }
        own = {
            f"127.0.0.1:{address.rpartition(':')[2]}": new
            for address, new in self.addresses.items()
        }
        api = free_address().rpartition(":")[2]
        self._replaced = {**self.addresses, **own, "9878": api}

    def url(self, address: str) -> str:
        """Where something is that others know by an address of the file."""
        return f"http://{self.addresses[address]}"

    def here(self, text: str, service: Service) -> str:
        """A word of the file with this machine's addresses and folders."""
        for address, new in self._replaced.items():
            text = text.replace(address, new)
        if text == "/opt/healthcheck.py":
            return str(ROOT / "exporter" / "cli" / "healthcheck.py")
        if text == ":9877":
            return self.addresses["exporter:9877"]
        if text == "/tmp":  # noqa: S108 - the container's
            return str(self._kept("tmp"))
        for source, target in sorted(service.mounts, key=lambda mount: -len(mount[1])):
            within = rf"(?<![\w.-]){re.escape(target)}(?=/|$)"
            text = re.sub(within, str(self._mounted(source)), text)
        return text

    def _kept(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _mounted(self, source: str) -> Path:
        if not source.startswith("."):
            return self._kept(f"volumes/{source}")
        copy = self.folder / "mounted" / source.removeprefix("./")
        if not copy.exists():
            copy.mkdir(parents=True)
            for file in (ROOT / source).iterdir():
                if file.is_file():
                    text = file.read_text(encoding="utf-8")
                    for address, new in self.addresses.items():
                        text = text.replace(address, new)
                    (copy / file.name).write_text(text, encoding="utf-8")
        return copy

    def environment(self, service: Service) -> dict[str, str]:
        """What the container's process would see; Prometheus is that of the image's age."""
        path = [str(NEWER)] if service.image[0] == "prom/prometheus" else []
        path += [str(Path(sys.executable).parent), os.environ["PATH"]]
        own = {
            key: self.here(value, service) for key, value in service.table("environment").items()
        }
        return {"PATH": ":".join(path), **self.values, **own}

    def command(self, service: Service) -> list[str]:
        """The program with its flags."""
        entry = service.words("entrypoint") or [PROGRAMS[service.image[0]]]
        words = [self.here(word, service) for word in (*entry, *service.words("command"))]
        own = {name: address for address in self.addresses for name in [address.partition(":")[0]]}
        if service.name in own and service.name != "exporter":
            words.append(f"--web.listen-address={self.addresses[own[service.name]]}")
        return words

    def is_healthy(self, service: Service, process: int) -> bool:
        """What its health check says now; in the container the process is number 1."""
        check = [self.here(word, service) for word in service.health_check]
        if "/opt/healthcheck.py" in service.health_check:
            check.append(str(process))
        if check[0] == "wget":  # busybox has it
            parts = urlsplit(check[-1])
            try:
                return loopback.get(parts.geturl()).is_success
            except httpx.TransportError:
                return False
        asked = subprocess.run(
            check, env=self.environment(service), capture_output=True, check=False
        )
        return asked.returncode == 0


@contextmanager
def up(machine: Machine, *, without: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Start the services one after the other; gives what those that ran once have printed.

    Raises:
        AssertionError: if one fails or does not become healthy, with its log.
    """
    printed: dict[str, str] = {}
    with ExitStack() as stack:
        for service in services(machine.values):
            if service.name in without:
                continue
            log = machine.folder / f"{service.name}.log"
            output = stack.enter_context(log.open("w+", encoding="utf-8"))
            process = stack.enter_context(
                subprocess.Popen(
                    machine.command(service),
                    env=machine.environment(service),
                    stdout=output,
                    stderr=output,
                    cwd=machine.folder,
                )
            )
            if service.is_run_once:
                status = process.wait(HANG_SECONDS)
                printed[service.name] = log.read_text(encoding="utf-8")
                assert status == 0, f"{service.name} ended with {status}:\n{printed[service.name]}"
            else:
                stack.callback(process.terminate)
                deadline = time.monotonic() + HANG_SECONDS
                while time.monotonic() < deadline:
                    if machine.is_healthy(service, process.pid):
                        break
                    assert process.poll() is None, log.read_text(encoding="utf-8")
                    BETWEEN_LOOKS.wait(BETWEEN_LOOKS_SECONDS)
                else:
                    raise AssertionError(f"{service.name} is never healthy:\n{log.read_text()}")
        yield printed
