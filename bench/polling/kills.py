"""`kill -9` at random moments of an exporter of many users that keeps state, in simulated time.

After each kill, a process restores the state, compares every user's figure with the simulation's
ledger at the moment of that user's request, and measures the time from its start to the page. What
was kept once must be shown from then on. Wall-clock time depends on what else the machine does.

usage: python -m bench.polling.kills [--users 10000] [--kills 5] [--longest 300]
"""

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from bench.polling.__main__ import Result, by_number, make_world, of_cycle, peak_mib
from bench.polling.pollers import INTERVAL, exporter
from bench.polling.world import START, Api, Clock
from exporter.process import nothing_to_collect
from exporter.scheduling.state_file import FILE_NAME
from exporter.scheduling.state_tables import CHECK_BYTES
from exporter.sources.devin.consumption.kept import decode_usage
from exporter.sources.devin.consumption.scopes import USER_SCOPE
from tests.support.rig import Scrape

LARGEST_ERROR = 1e-6
AS_THE_EXPORTER = """
import gc
from exporter.process import nothing_to_collect
with nothing_to_collect():
    from bench.polling.kills import main
    gc.freeze()
main()
"""
"""As `exporter.cli.main`: what the imports make is not searched for garbage."""


def kept_requests(folder: Path) -> Mapping[int, float]:
    """When the kept response of each user was requested (Unix seconds)."""
    if not (folder / FILE_NAME).exists():
        return {}
    with closing(sqlite3.connect(folder / FILE_NAME)) as tables:
        if tables.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise RuntimeError("the state is damaged")
        if not tables.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        rows = tables.execute("SELECT key, value FROM kept WHERE part = ?", (USER_SCOPE.task,))
        return {
            int(user.rpartition("-")[2]): decode_usage(bytes(value)[CHECK_BYTES:])[0].requested_at
            for user, value in rows
        }


def poll_for_ever(options: argparse.Namespace) -> None:
    """Restore what was kept, and poll until this process is killed."""
    now = max(kept_requests(options.folder).values(), default=START) + 60
    api = Api(make_world(options), Clock(now))
    with exporter(api, per_second=options.per_second, folder=options.folder) as run:
        run.state.restore()
        run.first_poll()
        while True:
            run.until(api.clock.now + INTERVAL)


def restore(options: argparse.Namespace) -> Result:
    """Restore what was kept, publish it, and compare it with the ledger."""
    # A small API, so that the time is that of the exporter alone.
    api = Api(make_world(argparse.Namespace(**{**vars(options), "users": 1})), Clock(options.now))
    with exporter(
        api, per_second=options.per_second, folder=options.folder, user_limit=options.users
    ) as run:
        with nothing_to_collect():
            run.state.restore()
            run.scheduler.publish_known()
        page = run.store.page.text
        seconds, peak = time.time() - options.began, peak_mib()
    figures = Scrape.of(page.decode()).family("devin_user_consumption_cycle_acus")
    shown = by_number(figures, "user_id")
    world, kept = make_world(options), kept_requests(options.folder)

    def error_of(user: int, at: float) -> float:
        return abs(of_cycle(world.use_of(user, at)) - shown.get(user, 0.0))

    # A response is of the moment of its request, or of the end of its wait for the rate limit.
    wait = 1 / options.per_second
    worst = max(
        (min(error_of(user, at), error_of(user, at + wait)) for user, at in kept.items()),
        default=0.0,
    )
    if worst > LARGEST_ERROR or not shown.keys() <= kept.keys():
        raise RuntimeError(f"the page differs from the ledger by {worst} ACUs")
    return {"seconds": seconds, "MiB peak": peak, "users": float(len(shown)), "error": worst}


def command(options: argparse.Namespace, part: str, *more: str) -> list[str]:
    """The command line of a process of its own."""
    settings = ("--users", str(options.users), "--per-second", str(options.per_second))
    folder = ("--folder", str(options.folder))
    return [sys.executable, "-c", AS_THE_EXPORTER, "--part", part, *settings, *folder, *more]


def kill_often(options: argparse.Namespace) -> None:
    """Kill the exporter, and look at the page after each of its restarts."""
    draw, users = random.Random(options.seed), 0.0  # noqa: S311 - no cryptography
    for number in range(options.kills):
        after = draw.uniform(0, options.longest)
        with subprocess.Popen(command(options, "poll")) as polling:
            with suppress(subprocess.TimeoutExpired):
                raise RuntimeError(f"the exporter has ended: {polling.wait(after)}")
            polling.kill()
        now = max(kept_requests(options.folder).values(), default=START) + 60
        began = ("--now", str(now), "--began", str(time.time()))
        again = command(options, "restore", *began)
        found: Result = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
        print(f"kill {number + 1} after {after:.0f} s:", json.dumps(found), flush=True)
        if found["users"] < users:
            raise RuntimeError("users that were kept are lost")
        users = found["users"]


def main() -> None:
    """Kill, or play one of the two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--longest", type=float, default=300.0)
    parser.add_argument("--per-second", type=float, default=40.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--now", type=float, default=START)
    parser.add_argument("--began", type=float, default=0.0)
    parser.add_argument("--part", choices=("all", "poll", "restore"), default="all")
    parser.set_defaults(hours=6.0, hidden=0, ide=0.02, seed=1, groups=0)
    options = parser.parse_args()
    if options.part == "poll":
        poll_for_ever(options)
    elif options.part == "restore":
        print(json.dumps(restore(options)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            options.folder = Path(folder)
            kill_often(options)


if __name__ == "__main__":
    main()
