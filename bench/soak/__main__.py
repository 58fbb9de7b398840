"""A soak: hours of the exporter's life in minutes, among all that can go wrong.

`python -m bench.soak [--minutes N] [--seed N] [--speed N]
[--allocator {plain,shipped}]`: the exporter with all three sources and the simulated APIs, each a
process of its own, live by one clock that runs `speed` times faster than the machine's. It starts
on the evening before a billing cycle ends, so that 00:00 and 08:00 UTC and the cycle's end are
passed. First each fault is met once on all that it can befall, then random ones befall random
places, and nobody is answered as days end. In the last quarter the exporter is also ended or killed
again and again, and starts from the state that it has kept. The page is scraped twice a second and
judged by the simulation's own ledger. Ends with an error if it showed anything that it must not, if
more files stay open in the last calm than in the first, or if the memory in use grew between them
by more than it may, of which the allocator tells all only if it is not as `shipped`. Half an hour
shows this growth to 0.3 MiB per hour, ten minutes only to 2, which is more than it may be.
"""

import argparse
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.soak.expected import Ledger
from bench.soak.faults import CALM, Restart, live
from bench.soak.judge import Judge, Look
from bench.soak.memory import Footprint, keep_telling, report_files, report_memory
from bench.soak.servers import FastTime, serve
from exporter.app import Exporter
from exporter.cli.catalogue import ALL_SECTIONS
from exporter.config.logs import set_up
from exporter.config.settings import LogSettings, WebSettings, load, parse_addresses
from exporter.demo import DEMO_KEYS
from exporter.process import Timing, hold_termination, wait_for_termination
from exporter.web.server import listen
from tests.support.rig import Scrape

START = datetime(2026, 6, 4, 19, tzinfo=UTC).timestamp()
"""A Thursday evening, thirteen hours before a billing cycle ends."""
PLAIN = {
    "PYTHONMALLOC": "malloc",
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}
"""One allocator, which knows what is in use, and keeps nothing of what is freed for any thread."""
USED = "used"
EVERY_SECONDS = 0.5
STARTS_WITHIN_SECONDS = 30.0
ENDS_WITHIN_SECONDS = 10.0
MOST_SHOWN = 20


@dataclass
class Record:
    """All that was seen.

    Attributes:
        used: the file into which the exporter writes its memory in use.
        last_pages: of each process of the exporter.
    """

    clock: FastTime
    judge: Judge
    used: Path
    footprints: list[Footprint] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    last: Scrape = field(default_factory=Scrape)
    last_pages: list[Scrape] = field(default_factory=list)
    peak_mib: float = 0.0

    def watch(self, pid: int, url: str, end: float) -> None:
        """Look at one process of the exporter twice a second until a moment, but once at least."""
        self.judge.restarted(self.clock.now())
        with httpx.Client(base_url=url, timeout=STARTS_WITHIN_SECONDS) as client:
            while True:
                due = time.monotonic() + EVERY_SECONDS
                self._look(client, pid)
                if self.clock.now() >= end:
                    break
                time.sleep(max(0.0, due - time.monotonic()))
        self.last_pages.append(self.last)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        self.peak_mib = max(self.peak_mib, int(peak) / 1024)

    def _look(self, client: httpx.Client, pid: int) -> None:
        since, began = self.clock.now(), time.monotonic()
        page = client.get("/metrics")
        self.latencies.append(time.monotonic() - began)
        until = self.clock.now()
        healthy, ready = (client.get(f"/-/{each}").status_code for each in ("healthy", "ready"))
        self.last = self.judge.judge(Look(since, until, page.text, healthy, ready)) or self.last
        self.footprints.append(Footprint.of(pid, self.used, until, len(self.last.values)))


def run_exporter(clock: FastTime, folder: Path) -> None:
    """The exporter as `serve` composes it, but for its time."""
    hold_termination()
    keep_telling(folder / USED)
    settings = load(ALL_SECTIONS, {})
    log, web = settings[LogSettings], settings[WebSettings]
    set_up(level=log.level, style=log.format)
    sockets = listen(parse_addresses(web.listen_address))
    exporter = Exporter(settings, sockets, Timing(clock.now, clock.now, clock.speed))
    exporter.start()
    sys.stdout.write(f"http://127.0.0.1:{sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    wait_for_termination()
    exporter.stop()
    os._exit(0)


def _surroundings() -> dict[str, str]:
    """The machine's environment without the exporter's settings."""
    ours = ("DEVIN_", "AIONE_", "WEB_", "LOG_", "STATE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextmanager
def part(
    name: str, options: argparse.Namespace, folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A part of the soak as a process, and the first line that it prints."""
    own = [f"--{key}={value}" for key, value in vars(options).items() if key != "part"]
    with (
        (folder / f"{name}.log").open("a") as log,
        subprocess.Popen(
            [sys.executable, "-m", "bench.soak", f"--part={name}", *own],
            env={**_surroundings(), **settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def exporter_settings(options: argparse.Namespace, folder: Path) -> Iterator[Mapping[str, str]]:
    """The settings of an exporter that polls the simulated APIs, which run meanwhile."""
    with part("api", options, folder, {}) as (_, printed):
        devin, aione, authority = printed.split()
        allocator = PLAIN if options.allocator == "plain" else {}
        yield {
            "DEVIN_API_URL": devin,
            "DEVIN_CA_FILE": authority,
            "DEVIN_SERVICE_USER_TOKEN": DEMO_KEYS["devin"],
            "DEVIN_V2_API_KEY": DEMO_KEYS["devin_v2"],
            "AIONE_API_URL": aione,
            "AIONE_CA_FILE": authority,
            "AIONE_TOKEN": DEMO_KEYS["aione"],
            "WEB_LISTEN_ADDRESS": "127.0.0.1:0",
            "STATE_DIR": str(folder / "state"),
            **allocator,
        }


def live_through(options: argparse.Namespace, clock: FastTime, judge: Judge) -> Record:
    """Start the exporter again whenever it is ended, and look at it until the end of the soak."""
    folder = Path(options.folder)
    record = Record(clock, judge, folder / USED)
    with exporter_settings(options, folder) as settings:
        for end in (*judge.life.restarts, Restart(judge.life.end, kills=False)):
            with part("exporter", options, folder, settings) as (process, url):
                record.watch(process.pid, url, end.at)
                if end.kills:
                    process.kill()
    return record


def report(record: Record, judge: Judge, clock: FastTime, log: str) -> bool:
    """Print the figures; gives whether all is as it should be."""
    life, prints = judge.life, record.footprints
    lived = Counter(fault.kind for fault in life.faults)
    hours = (prints[-1].at - life.start) / 3_600
    kills = sum(restart.kills for restart in life.restarts)
    print(f"{hours:.1f} h lived in {hours * 60 / clock.speed:.1f} min; {len(prints)} looks")
    print(f"faults: {len(life.faults)}: " + ", ".join(f"{k} {n}" for k, n in sorted(lived.items())))
    print(
        f"figures judged: {judge.judged}, demanded: {judge.demanded}; looks while a window ended: "
        f"{judge.crossed}; the oldest answer that might be shown: {judge.oldest:.0f} s"
    )
    print(
        f"restarts: {len(life.restarts)}, {kills} of them after SIGKILL; figures demanded in the "
        f"first looks: {judge.restored}"
    )
    counted(record.last_pages)
    latencies = statistics.quantiles(record.latencies, n=100)
    print(
        f"scrape: p50 {latencies[49] * 1e3:.1f} ms, p99 {latencies[98] * 1e3:.1f} ms, "
        f"longest {max(record.latencies) * 1e3:.0f} ms"
    )
    same_files = report_files(prints, life)
    of_one = [each for each in prints if life.warm <= each.at < life.calm + CALM]
    little_growth = report_memory(of_one, clock.speed)
    print(f"peak memory: {record.peak_mib:.0f} MiB")
    internal = log.count("Traceback")
    print(f"tracebacks in the log: {internal}; violations: {len(judge.violations)}")
    for violation in judge.violations[:MOST_SHOWN]:
        when = datetime.fromtimestamp(violation.at, UTC)
        print(f"  {when:%m-%d %H:%M:%S} {violation.what}")
    return same_files and little_growth and not internal and not judge.violations


def counted(last_pages: Sequence[Scrape]) -> None:
    """Print the exporter's own figures."""
    requests = by_label(last_pages, "devin_exporter_api_requests_total", "status")
    retries = by_label(last_pages, "devin_exporter_api_retries_total", "source").total()
    failures = by_label(last_pages, "devin_exporter_task_failures_total", "reason")
    skipped = by_label(last_pages, "devin_exporter_task_skipped_total", "task").total()
    expected = ", ".join(f"{status} {count}" for status, count in sorted(requests.items()))
    print(f"requests: {requests.total()} ({expected}); retries: {retries}")
    expected = ", ".join(f"{reason} {count}" for reason, count in sorted(failures.items()) if count)
    print(f"polls that failed, by reason: {expected}; skipped: {skipped}")


def by_label(pages: Sequence[Scrape], family: str, label: str) -> Counter[str]:
    """The sums of a family over all pages by one of its labels."""
    sums: Counter[str] = Counter()
    for page in pages:
        for labels, count in page.family(family).items():
            sums[dict(labels)[label]] += int(count)
    return sums


def soak(options: argparse.Namespace) -> bool:
    """Live once; gives whether all was as it should be."""
    clock = FastTime(START, options.began, options.speed)
    life = live(options.seed, START, START + options.minutes * 60 * options.speed)
    judge = Judge(Ledger(START), life)
    print(
        f"seed {options.seed}, {options.minutes:g} min, {options.speed:g} times as fast, "
        f"allocator {options.allocator}"
    )
    with tempfile.TemporaryDirectory() as name:
        options.folder = name
        record = live_through(options, clock, judge)
        log = (Path(name) / "exporter.log").read_text(encoding="utf-8")
    return report(record, judge, clock, log)


def read_options() -> argparse.Namespace:
    """The command line; what a part is expected besides is not for people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--allocator", choices=("plain", "shipped"), default="plain")
    parser.add_argument("--began", type=float, default=time.monotonic(), help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    parser.add_argument("--part", default="soak", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Play one part."""
    options = read_options()
    clock = FastTime(START, options.began, options.speed)
    if options.part == "exporter":
        run_exporter(clock, Path(options.folder))
    elif options.part == "api":
        end = START + options.minutes * 60 * options.speed
        serve(clock, live(options.seed, START, end), Path(options.folder))
    else:
        sys.exit(0 if soak(options) else 1)


if __name__ == "__main__":
    main()
