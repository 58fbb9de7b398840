"""A real Alertmanager for the tests, and a webhook that receives what it sends."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import BETWEEN_LOOKS, ROOT, free_address, served

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


@dataclass(frozen=True)
class Notified:
    """One alert of a notification."""

    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass
class Webhook:
    """What was received, in its order."""

    url: str = ""
    alerts: list[Notified] = field(default_factory=list)

    def of(self, status: str, **labels: str) -> list[Notified]:
        """The alerts with a status (`firing`, `resolved`) and these labels."""
        return [
            alert
            for alert in list(self.alerts)
            if alert.status == status and labels.items() <= alert.labels.items()
        ]

    def until(self, status: str, **labels: str) -> Notified:
        """Wait for such an alert, and give the newest."""
        return self._until(lambda: self.of(status, **labels), f"{status} {labels}")[-1]

    def _until(self, look: Callable[[], list[Notified]], what: str) -> list[Notified]:
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            BETWEEN_LOOKS.wait(0.5)
        raise AssertionError(f"{what} never came; what did: {self.alerts}")


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Receive notifications on loopback; the path is the receiver."""
    received = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.alerts += [
                Notified(self.path, each["status"], each["labels"], each["annotations"])
                for each in body["alerts"]
            ]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def alertmanager(binary: str, folder: Path, hook: Webhook) -> Iterator[str]:
    """Run the shipped example, which notifies the webhook at once; gives its address."""
    configuration = EXAMPLE.read_text(encoding="utf-8")
    for shipped, here in (
        ("http://localhost:5001", hook.url),
        ("group_wait: 30s", "group_wait: 3s"),
        ("group_interval: 5m", "group_interval: 3s"),
    ):
        assert shipped in configuration
        configuration = configuration.replace(shipped, here)
    (folder / "alertmanager.yml").write_text(configuration, encoding="utf-8")
    address = free_address()
    command = [
        binary,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with served(command, f"http://{address}/-/ready", folder / "alertmanager.log"):
        yield address
