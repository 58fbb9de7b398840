"""What a scrape costs, beside prometheus_client's own servers and nginx with the same bytes.

`python -m bench.scrape [series …]`: one run; one client scrapes them over one connection each, ours
and nginx in turn. BENCH_NGINX names nginx where it is not on the PATH. Without it, ours is first.
"""

import argparse
import gzip
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.scrape_servers import SERVERS

ROUNDS = 2_000
"""So many that p99 is not the work of a few scrapes."""
SLOW_ROUNDS = 5
FIRST_SCRAPES = 3
"""On a new connection, which TCP begins slowly. They are not measured: Prometheus keeps its own."""
TURNS = 20
RESUMED_SECONDS = 0.5
"""Until a resumed process renders as before: its threads share a processor at first."""
PACED_ROUNDS, PACED_SECONDS = 400, 20.0
PATIENCE_SECONDS = 120
TICKS = os.sysconf("SC_CLK_TCK")
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; gzip_static on; keepalive_requests 1000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  types {{ }} default_type "text/plain; version=0.0.4; charset=utf-8";
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""


@dataclass
class Server:
    """A server that is measured, and the times of its scrapes in seconds."""

    name: str
    process: subprocess.Popen[bytes]
    connection: socket.socket
    port: int
    times: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    cpu: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})

    def connect(self) -> None:
        """Open a new connection."""
        self.connection.close()
        self.connection = _connected(self.port)

    def scrape(self, *, packed: bool) -> bytes:
        """Scrape once and note how long it took."""
        began = time.perf_counter()
        if self.name == "wsgi":  # it ends the connection after each response
            self.connect()
        body = scraped(self.connection, packed=packed)
        self.times[packed].append(time.perf_counter() - began)
        return body

    def cpu_seconds(self) -> float:
        """What the process and its children have used so far."""
        return sum(_cpu(each) for each in _family(self.process.pid))

    def memory(self) -> float:
        """MiB that the process and its children have in memory."""
        pages = 0
        for each in _family(self.process.pid):
            pages += int(Path(f"/proc/{each}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _family(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [process, *(int(word) for word in path.read_text(encoding="ascii").split())]


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def scraped(connection: socket.socket, *, packed: bool) -> bytes:
    """Send one request; the body of its response."""
    encoding = "gzip" if packed else "identity"
    connection.sendall(
        f"GET /metrics HTTP/1.1\r\nHost: it\r\nAccept-Encoding: {encoding}\r\n\r\n".encode()
    )
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    head = received[:end].decode("latin-1").lower()
    assert head.split()[1] == "200", head
    if "content-length:" in head:
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        while len(received) < end + 4 + length:
            received += _more(connection)
    else:
        assert "transfer-encoding: chunked" in head, head
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += _more(connection)
    return bytes(received[end + 4 :])


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(2**20)
    assert more, "the server has hung up"
    return more


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("a server never answered")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def started(name: str, command: list[str], port: int) -> Iterator[Server]:
    """Run a server until the end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            with _connected(port) as connection:
                yield Server(name, process, connection, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # it may be stopped


@contextmanager
def python(name: str, series: int, *, load: str = "") -> Iterator[Server]:
    """One of the servers in Python."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.scrape_servers", name, str(port), str(series)]
    with started(name, [*command, load] if load else command, port) as server:
        yield server


@contextmanager
def nginx(binary: str, body: bytes) -> Iterator[Server]:
    """Run nginx with these bytes as a file, plain and packed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "root").mkdir()
        (folder / "root" / "metrics").write_bytes(body)
        (folder / "root" / "metrics.gz").write_bytes(gzip.compress(body, 6))
        port = _free_port()
        text = NGINX.format(folder=folder, port=port)
        (folder / "nginx.conf").write_text(text, encoding="ascii")
        command = [binary, "-p", str(folder), "-e", str(folder / "log")]
        with started("nginx", [*command, "-c", str(folder / "nginx.conf")], port) as server:
            yield server


def measure(series: int, rounds: int) -> None:
    """Scrape every server in turn."""
    with ExitStack() as stack:
        servers = [stack.enter_context(python(name, series)) for name in SERVERS]
        busy = stack.enter_context(python("ours", series, load="renders"))
        busy.name = "ours, while it renders"
        scraped(busy.connection, packed=False)
        busy.process.send_signal(signal.SIGSTOP)
        servers[0].connect()
        body = scraped(servers[0].connection, packed=False)
        binary = os.environ.get("BENCH_NGINX") or shutil.which("nginx")
        if binary:
            servers.insert(0, stack.enter_context(nginx(binary, body)))
        file_and_ours = [server for server in servers if server.name in {"nginx", "ours"}]
        for packed in (False, True):
            for server in servers:
                if server not in file_and_ours:
                    measure_one([server], packed=packed, rounds=SLOW_ROUNDS)
            # In turn, so that what else the machine does falls on all of them.
            for _ in range(TURNS):
                measure_one(file_and_ours, packed=packed, rounds=rounds // TURNS)
                busy.process.send_signal(signal.SIGCONT)
                time.sleep(RESUMED_SECONDS)
                measure_one([busy], packed=packed, rounds=rounds // TURNS)
                busy.process.send_signal(signal.SIGSTOP)
        servers.append(busy)
        scrapes = f"{rounds} scrapes of each, {SLOW_ROUNDS} of asgi and wsgi"
        print(f"\n{series} series, {len(body) / 1e6:.1f} MB, {scrapes}\n")
        report(servers)
        measure_paced(file_and_ours, series)
        for server in servers:
            server.connection.close()


def measure_paced(file_and_ours: list[Server], series: int) -> None:
    """Scrape in turn with pauses, ours also while it sweeps as often as a real exporter does."""
    with python("ours", series, load="sweep") as sweeping:
        sweeping.name = "ours, in a sweep"
        paced = [*file_and_ours, sweeping]
        for packed in (False, True):
            for server in paced:
                server.times[packed], server.cpu[packed] = [], 0.0
            pause = PACED_SECONDS / PACED_ROUNDS
            measure_one(paced, packed=packed, rounds=PACED_ROUNDS, pause=pause)
        print(f"\nThe same with pauses of {pause:.2f} s, {PACED_ROUNDS} scrapes of each\n")
        report(paced)
        sweeping.connection.close()


def measure_one(servers: list[Server], *, packed: bool, rounds: int, pause: float = 0.0) -> None:
    """Scrape some servers in turn, and note what processor time each scrape took."""
    for server in servers:
        server.connect()
        for _ in range(FIRST_SCRAPES):
            server.scrape(packed=packed)
        del server.times[packed][-FIRST_SCRAPES:]
    before = [server.cpu_seconds() for server in servers]
    for _ in range(rounds):
        time.sleep(pause)
        for server in servers:
            server.scrape(packed=packed)
    for server, used in zip(servers, before, strict=True):
        server.cpu[packed] += server.cpu_seconds() - used


def report(servers: list[Server]) -> None:
    """Print a table."""
    print(
        "| server | encoding | p50 / first's | p99 / first's | p50 | p99 | CPU per scrape "
        "| memory |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for packed in (False, True):
        first = servers[0].times[packed]
        for server in servers:
            times = server.times[packed]
            p50, p99 = statistics.median(times), quantile(times, 0.99)
            print(
                f"| {server.name} | {'gzip' if packed else 'plain'} "
                f"| {p50 / statistics.median(first):.2f} | {p99 / quantile(first, 0.99):.2f} "
                f"| {p50 * 1e3:.2f} ms | {p99 * 1e3:.2f} ms "
                f"| {server.cpu[packed] / len(times) * 1e3:.2f} ms | {server.memory():.0f} MiB |"
            )


def quantile(times: list[float], share: float) -> float:
    """The time that this share of the scrapes did not exceed."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    print(f"load average: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    for series in given.series:
        measure(series, given.rounds)


if __name__ == "__main__":
    main()
