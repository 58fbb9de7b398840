"""How long a restart takes to the last good page, and the memory of the exporter alone.

One process polls everybody and keeps the state. Another restores it: it has no simulated API in its
memory. Wall-clock time depends on what else the machine does; processor time does not. Memory is
that of the page with teams, whose file is read after the time was taken.

usage: python -m bench.polling.restart [--users 10000] [--teams 0] [--groups 0]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.polling.__main__ import Result, make_world, peak_mib
from bench.polling.pollers import exporter, teams_file
from bench.polling.world import START, Api, Clock
from exporter.process import nothing_to_collect


def write(options: argparse.Namespace) -> Result:
    """Poll everybody once, which is kept."""
    api = Api(make_world(options), Clock(START))
    with exporter(
        api,
        per_second=options.per_second,
        folder=options.folder,
        teams_file=teams_file(options.folder, teams=options.teams, groups=options.groups),
    ) as run:
        run.first_poll()
        page = run.store.page.text
    options.folder.joinpath("page").write_bytes(figures(page))
    options.folder.joinpath("now").write_text(str(api.clock.now))
    return {"series": float(page.count(b"\n") - page.count(b"# "))}


def restore(options: argparse.Namespace) -> Result:
    """Restore what was kept, and publish it."""
    began, cpu = time.monotonic(), time.process_time()
    small = argparse.Namespace(**{**vars(options), "users": 1})
    now = float(options.folder.joinpath("now").read_text())
    api = Api(make_world(small), Clock(now + 60))
    with exporter(
        api,
        per_second=options.per_second,
        folder=options.folder,
        user_limit=options.users,
        teams_file=teams_file(options.folder, teams=options.teams, groups=options.groups),
    ) as run:
        with nothing_to_collect():
            run.state.restore()
            run.scheduler.publish_known()
        found = {
            "seconds": time.monotonic() - began,
            "CPU seconds": time.process_time() - cpu,
            "CPU seconds with imports": time.process_time(),
        }
        if options.teams:
            run.poll("teams_file")
            run.scheduler.publish_known()
        page = run.store.page.text
        found |= {
            "series": float(page.count(b"\n") - page.count(b"# ")),
            "page MiB": len(page) / 2**20,
            "MiB peak": peak_mib(),
        }
    for count, name in ((options.teams, "team"), (options.groups, "group")):
        if count and f"\ndevin_{name}_consumption_".encode() not in page:
            raise RuntimeError(f"no {name} is published")
    if figures(page) != options.folder.joinpath("page").read_bytes():
        raise RuntimeError("the restart shows other figures than were shown before it")
    return found


def figures(page: bytes) -> bytes:
    """The lines of consumption."""
    return b"".join(line for line in page.splitlines(keepends=True) if b"_consumption_" in line)


def main() -> None:
    """Measure each part in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--teams", type=int, default=0)
    parser.add_argument("--groups", type=int, default=0)
    parser.add_argument("--per-second", type=float, default=40.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", choices=("all", "write", "restore"), default="all")
    parser.set_defaults(hours=1.0, hidden=0, ide=0.02, seed=1)
    options = parser.parse_args()
    if options.part != "all":
        print(json.dumps({"write": write, "restore": restore}[options.part](options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for part in ("write", "restore"):
            command = [sys.executable, "-m", "bench.polling.restart", "--part", part]
            command += ["--users", str(options.users), "--folder", folder]
            command += ["--teams", str(options.teams), "--groups", str(options.groups)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            print(part, printed, end="")
        print("file", Path(folder, "devin-exporter.sqlite").stat().st_size / 2**20, "MiB")


if __name__ == "__main__":
    main()
