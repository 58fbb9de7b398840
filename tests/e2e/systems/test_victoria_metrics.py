"""The same history in VictoriaMetrics."""

from pathlib import Path

import httpx
import pytest

from exporter.sources.devin.billing.windows import DAY, billing_day_start
from tests.e2e.test_ledger_in_prometheus import daily, keyed
from tests.support.environment import DAYS, Scene, history, ledger, used
from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import Prometheus, find, free_address, served


def test_every_imported_day_equals_the_ledger(scene: Scene, tmp_path: Path) -> None:
    binary = find("victoria-metrics", newer=True)
    if binary is None:
        pytest.skip("victoria-metrics is missing: `make test` brings it by apt")
    file = history(scene, tmp_path, "--until=now")
    address = free_address()
    command = [
        binary,
        f"-storageDataPath={tmp_path / 'data'}",
        f"-httpListenAddr={address}",
        "-retentionPeriod=400d",
        "-search.disableCache",
        "-memory.allowedBytes=256MB",
    ]
    with served(command, f"http://{address}/health", tmp_path / "log"):
        with file.open("rb") as content:
            httpx.post(
                f"http://{address}/api/v1/import/prometheus", content=content, timeout=HANG_SECONDS
            ).raise_for_status()
        httpx.get(f"http://{address}/internal/force_flush", timeout=HANG_SECONDS).raise_for_status()
        expected = ledger(scene, "user_")
        *finished, today = expected
        server = Prometheus(f"http://{address}")
        with server.client:
            course = server.course(
                daily("devin_user_consumption_yesterday_acus"),
                start=billing_day_start(finished[0]),
                end=billing_day_start(today),
                step=DAY,
            )
    assert len(finished) == DAYS
    for day in finished:
        moment = billing_day_start(day)
        told = {labels: points[moment] for labels, points in course.items() if moment in points}
        assert keyed(told, "user_") == pytest.approx(used(expected[day]), abs=1e-6), day
