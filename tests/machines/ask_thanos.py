"""Thanos as its page says: the history in a bucket, and two Prometheus servers that write to it.

`thanos.sh` builds it and runs these tests.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from exporter.sources.devin.billing.windows import DAY
from tests.e2e.dashboards.test_in_prometheus import FIRING, QUEUE
from tests.e2e.dashboards.test_under_every_range import boards, lacking, viewers
from tests.grafana.panels import Dashboard, Range, Viewer
from tests.grafana.queries import rules
from tests.support.environment import AS_SHIPPED, Scene, serving
from tests.support.prometheus import (
    SHIPPED,
    SPARING,
    Labels,
    Prometheus,
    find,
    free_address,
    served,
)

T = TypeVar("T")
CLUSTER, REPLICA = "cluster", "prometheus_replica"
OF_THE_EXPORTER = "devin-exporter"
"""The board of what changes with each scrape: two servers scrape at different times."""
EVERY_RANGE_IS_SENT = "rate(devin_exporter_api_requests_total[1m])"
EXTERNAL = {CLUSTER: "main", "tenant_id": "default-tenant"}
"""The labels of all that is in Thanos once replicas are one; Receive adds the tenant's."""


@dataclass(frozen=True)
class Storage:
    """Thanos, and one of the servers that write to it, which has the same history of its own."""

    thanos: Prometheus
    prometheus: Prometheus
    query: str
    rules: Path


def started(
    stack: ExitStack, program: str, folder: Path, component: str, *flags: str
) -> tuple[str, str]:
    """The addresses of a component of Thanos: gRPC and HTTP."""
    grpc, http = free_address(), free_address()
    command = [program, component, f"--grpc-address={grpc}", f"--http-address={http}", *flags]
    stack.enter_context(served(command, f"http://{http}/-/ready", folder / f"{component}.log"))
    return grpc, http


def writing(address: str, replica: str) -> str:
    """The shipped configuration of a server that writes to Thanos."""
    labels = f"  external_labels: {{{CLUSTER}: main, {REPLICA}: {replica}}}\n"
    write = f"remote_write: [{{url: http://{address}/api/v1/receive}}]\n"
    return SHIPPED.replace("global:\n", f"global:\n{labels}", 1) + write


@pytest.fixture(scope="module")
def storage(
    scene: Scene, past: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    """All of it; the history ends now, and the scrapes begin."""
    thanos, binary = find("thanos", newer=False), find("prometheus", newer=False)
    assert thanos is not None
    assert binary is not None
    folder = tmp_path_factory.mktemp("thanos")
    (folder / "bucket").mkdir()
    bucket = folder / "bucket.yml"
    bucket.write_text(f"{{type: FILESYSTEM, config: {{directory: {folder / 'bucket'}}}}}")
    objects = f"--objstore.config-file={bucket}"
    labels = [f'--label={name}="{value}"' for name, value in EXTERNAL.items()]
    command = [thanos, "tools", "bucket", "upload-blocks", objects, *labels]
    subprocess.run([*command, f"--path={past(AS_SHIPPED)}"], env=SPARING, check=True)
    with ExitStack() as stack:
        store, _ = started(
            stack, thanos, folder, "store", objects, f"--data-dir={folder / 'store'}"
        )
        write = free_address()
        receive, _ = started(
            stack, thanos, folder, "receive", f"--tsdb.path={folder / 'receive'}",
            f"--remote-write.address={write}", '--label=receive_replica="0"',
        )  # fmt: skip
        _, query = started(
            stack, thanos, folder, "query", f"--endpoint={store}", f"--endpoint={receive}",
            f"--query.replica-label={REPLICA}", "--query.replica-label=receive_replica",
        )  # fmt: skip
        servers = []
        for replica in ("0", "1"):
            own = folder / replica
            own.mkdir()
            shutil.copytree(past(AS_SHIPPED), own / "data")
            configuration = writing(write, replica)
            servers.append(stack.enter_context(serving(binary, scene, own, configuration)))
        asked = Prometheus(f"http://{query}")
        stack.enter_context(asked.client)
        asked.until("account:devin_cost_today:sum")
        asked.until(EVERY_RANGE_IS_SENT)
        yield Storage(asked, servers[0], query, own / "rules.yml")


def as_of_one_server(told: Mapping[Labels, T]) -> dict[Labels, T]:
    """The same as one server has it, which does not show its external labels."""
    return {frozenset(labels - EXTERNAL.items()): points for labels, points in told.items()}


@boards
def test_the_present_and_days_are_shown_under_every_range(storage: Storage, path: Path) -> None:
    for name, seen in viewers(storage.thanos):
        lacks = {*lacking(seen, Dashboard(path))}
        assert lacks <= QUEUE, name
        assert not lacks >= QUEUE, name


@boards
def test_every_query_has_the_figures_of_prometheus(storage: Storage, path: Path) -> None:
    dashboard = Dashboard(path)
    now = round(time.time(), 3)
    for seen in (Range(now - 30 * DAY, now), Range(now - 20 * DAY, now - 3 * DAY, relative=False)):
        viewer = Viewer(storage.prometheus, seen, now=now)
        values = viewer.values(dashboard)
        for target in dashboard.targets:
            told = viewer.see(target, values)
            shown = as_of_one_server(replace(viewer, prometheus=storage.thanos).see(target, values))
            if target.name in FIRING or dashboard.uid == OF_THE_EXPORTER:
                assert bool(shown) == bool(told), target.name
                continue
            assert shown.keys() == told.keys(), target.name
            for labels, points in told.items():
                assert shown[labels] == pytest.approx(points, abs=1e-6, nan_ok=True), target.name


def test_every_rule_is_evaluated_without_an_error(storage: Storage, tmp_path: Path) -> None:
    thanos = find("thanos", newer=False)
    assert thanos is not None
    with ExitStack() as stack:
        _, address = started(
            stack, thanos, tmp_path, "rule", f"--query={storage.query}",
            f"--rule-file={storage.rules}", f"--data-dir={tmp_path / 'rule'}",
            '--label=ruler="0"', "--eval-interval=5s",
        )  # fmt: skip
        ruler = stack.enter_context(Prometheus(f"http://{address}").client)
        server = Prometheus(f"http://{address}", ruler)
        server.until_rules_are_evaluated()
        groups = server.ask("rules")
    assert isinstance(groups, Mapping)
    states = {
        (rule["name"], rule["health"], rule.get("lastError", ""))
        for group in groups["groups"]
        for rule in group["rules"]
    }
    assert states == {(rule.get("record") or rule["alert"], "ok", "") for rule in rules()}
