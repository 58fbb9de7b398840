"""Our poller beside a naive one, in simulated time: requests, freshness, CPU, memory.

Both share the client, its rate limit and its parser. The API is a transport in the same process, so
there are no sockets; its own CPU time is subtracted. A response takes no simulated time, as more
requests may be in flight than the rate limit lets start within 50 ms; those 50 ms are to be added
to each delay of both.

usage: python -m bench.polling [--users 1000] [--hours 2] [--hidden 0] [--teams 0] [--groups 0]
       [--part both]
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.polling.pollers import (
    INTERVAL,
    Exporter,
    Naive,
    exporter,
    most_in_a_second,
    quantile,
    teams_file,
)
from bench.polling.world import DAILY, START, Api, Clock, World
from tests.support.rig import Scrape

NAIVE_POLLS = 4
Result = dict[str, float]


def make_world(options: argparse.Namespace) -> World:
    """The enterprise of the options."""
    return World(
        users=options.users,
        organizations=max(1, options.users // 100),
        hours=options.hours + options.users / options.per_second / 3_600 + 1,
        hidden=options.hidden,
        ide=options.ide,
        seed=options.seed,
        groups=options.groups,
    )


def peak_mib() -> float:
    """The peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def result(api: Api, *, hours: float, cpu: float, before: float) -> Result:
    """What both are measured by."""
    delays = [*api.delays, *api.late()]
    of_consumption = api.paths[DAILY]
    return {
        "ACU requests per hour": of_consumption / hours,
        "all requests per hour": len(api.sent) / hours,
        "freshness median": quantile(delays, 0.5),
        "freshness p99": quantile(delays, 0.99),
        "most requests in a second": most_in_a_second(api.sent),
        "CPU seconds per hour": cpu / hours,
        "MiB before": before,
        "MiB peak": peak_mib(),
    }


def naive(options: argparse.Namespace) -> Result:
    """Poll everybody at every interval, for a few intervals."""
    api = Api(make_world(options), Clock(START))
    before = peak_mib()
    with exporter(api, per_second=options.per_second, folder=None) as ours:
        poller = Naive(ours.client, api)
        poller.poll()
        start = api.clock.now
        api.forget()
        began, simulated = time.process_time(), api.seconds
        for turn in range(NAIVE_POLLS):
            api.clock.now = max(api.clock.now, start + INTERVAL * turn)
            poller.poll()
        api.clock.now = max(api.clock.now, start + INTERVAL * NAIVE_POLLS)
        cpu = time.process_time() - began - (api.seconds - simulated)
        return result(api, hours=(api.clock.now - start) / 3_600, cpu=cpu, before=before)


def ours(options: argparse.Namespace) -> Result:
    """Poll as the exporter does: the first round, then some hours."""
    api = Api(make_world(options), Clock(START))
    before = peak_mib()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        run = stack.enter_context(
            exporter(
                api,
                per_second=options.per_second,
                folder=folder / "state",
                teams_file=teams_file(folder, teams=options.teams, groups=options.groups),
            )
        )
        run.first_poll()
        first, budgeted = api.clock.now - START, len(api.sent) / options.per_second
        run.until(api.clock.now + 2 * INTERVAL)
        start = api.clock.now
        most_at_first = most_in_a_second(api.sent)
        api.forget()
        began, simulated = time.process_time(), api.seconds
        worst = 0.0
        while api.clock.now < start + options.hours * 3_600:
            run.until(api.clock.now + INTERVAL)
            checking = time.process_time()
            worst = max(worst, error_of(run, api, teams=bool(options.teams)))
            began += time.process_time() - checking
        cpu = time.process_time() - began - (api.seconds - simulated)
        found = result(api, hours=(api.clock.now - start) / 3_600, cpu=cpu, before=before)
        failed = [name for name, state in run.store.states().items() if state.up is False]
        if failed:
            raise RuntimeError(f"these tasks have failed: {failed}")
        page = run.store.page.text
        scrape = Scrape.of(page.decode())
        unattributed = scrape.one("devin_exporter_unattributed_cycle_acus", scope="users")
        found["most requests in a second"] = max(found["most requests in a second"], most_at_first)
        return found | {
            "first round, times the budget's": first / budgeted,
            "series": sum(1 for line in page.splitlines() if not line.startswith(b"#")),
            "page MiB": len(page) / 2**20,
            "largest error": worst,
            "unattributed": -1.0 if unattributed is None else unattributed,
        }


def error_of(run: Exporter, api: Api, *, teams: bool) -> float:
    """The largest difference of a published total to the simulation's ledger, in ACUs.

    Of the enterprise, every organization and user, at the moment at which the API was last asked
    for them; and of all teams to all users.
    """
    scrape = Scrape.of(run.store.page.text.decode())
    of_teams = scrape.family("devin_team_consumption_cycle_acus").values()
    of_users = scrape.family("devin_user_consumption_cycle_acus")
    if teams and not of_teams:
        raise RuntimeError("no team is published")
    worst = abs(math.fsum(of_teams) - math.fsum(of_users.values())) if teams else 0.0
    shown = by_number(of_users, "user_id")
    for user in range(api.world.users):
        expected = of_cycle(api.world.use_of(user, api.told[user]))
        worst = max(worst, abs(expected - shown.get(user, 0.0)))
    of_organizations = scrape.family("devin_organization_consumption_cycle_acus")
    total = math.fsum(scrape.family("devin_consumption_cycle_acus").values())
    by_org = by_number(of_organizations, "org_id")
    for org, told in api.told_organizations.items():
        expected = of_cycle(api.world.use_of_all(org, told))
        worst = max(worst, abs(expected - (total if org is None else by_org[org])))
    return worst


def by_number(series: Mapping[frozenset[tuple[str, str]], float], label: str) -> dict[int, float]:
    """The sum over products by the number at the end of an id."""
    shown: dict[int, float] = {}
    for labels, acus in series.items():
        number = int(dict(labels)[label].rpartition("-")[2])
        shown[number] = shown.get(number, 0.0) + acus
    return shown


def of_cycle(use: Mapping[tuple[str, int], float]) -> float:
    """The ACUs of the running cycle, of use by product and day."""
    return math.fsum(acus for (_, day), acus in use.items() if day >= CYCLE_FIRST_DAY)


CYCLE_FIRST_DAY = 1_772_697_600 // 86_400


def print_row(name: str, found: Result) -> None:
    """Print the figures of one poller."""
    print(f"{name}:")
    for what, value in found.items():
        print(f"  {what:32} {value:12.4g}")


def part(options: argparse.Namespace, name: str) -> Result:
    """Measure one poller in a process of its own."""
    command = [sys.executable, "-m", "bench.polling", "--part", name]
    for option in ("users", "hours", "hidden", "teams", "groups", "ide", "per_second", "seed"):
        command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: Result = json.loads(output)
    return found


def main() -> None:
    """Play one part, or both and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--hidden", type=int, default=0)
    parser.add_argument("--teams", type=int, default=0)
    parser.add_argument("--groups", type=int, default=0)
    parser.add_argument("--ide", type=float, default=0.02)
    parser.add_argument("--per-second", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("both", "naive", "ours"), default="both")
    options = parser.parse_args()
    if options.part != "both":
        print(json.dumps({"naive": naive, "ours": ours}[options.part](options)))
        return
    of_naive, of_ours = part(options, "naive"), part(options, "ours")
    print_row("naive", of_naive)
    print_row("ours", of_ours)
    share = of_ours["ACU requests per hour"] / of_naive["ACU requests per hour"]
    print(f"ACU requests: {share:.1%} of the naive poller's")


if __name__ == "__main__":
    main()
