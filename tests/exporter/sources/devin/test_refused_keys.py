"""A key that the API refuses with 403: one refusal, and not a permission for every endpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import respx

from exporter.errors import InterceptedError
from exporter.sources.devin.identity import OLDER_ENDPOINT
from tests.exporter.commands import finished
from tests.exporter.sources.devin.test_whose_key import (
    BILLING,
    CYCLES,
    FORBIDDEN,
    OUTAGES,
    SELF,
    refuse,
)
from tests.support.fake_api import fake_api, settings
from tests.support.processes import running
from tests.support.rig import PAYLOADS, Clock, Rig, at, payload, rig

URL = "https://api.test"
UNAUTHORIZED = (PAYLOADS / "devin" / "keys" / "variants" / "error_401.json").read_bytes()


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture
def polled(api: respx.Router) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, Clock(at("2026-03-20 15:30:00"))) as made:
        yield made


def test_a_403_where_no_permission_is_needed_refuses_the_key_and_no_permission_is_named(
    api: respx.Router, polled: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(url__regex=".*").respond(403, json=payload("devin/keys/variants/error_403_bad_key"))
    refuse(api, SELF)
    polled.poll()
    assert polled.client.key_refused
    (record,) = caplog.records
    assert record.getMessage() == "the API refuses the key (403)"
    reasons = {
        task.name: polled.counted(
            "devin_exporter_task_failures_total", task=task.name, reason="forbidden"
        )
        for task in polled.tasks
        if task.poll is not None
    }
    assert set(reasons.values()) == {0.0}


@pytest.mark.parametrize("outage", [name for name in OUTAGES if "403" in name])
def test_a_403_that_is_not_the_apis_says_nothing_of_the_key(
    api: respx.Router, polled: Rig, outage: str
) -> None:
    api.get(SELF).mock(return_value=OUTAGES[outage])
    polled.poll("identity")
    assert isinstance(polled.error("identity"), InterceptedError)
    assert not polled.client.key_refused


def test_on_an_older_deployment_the_older_endpoint_refuses_the_key(
    api: respx.Router, polled: Rig
) -> None:
    api.get(SELF).respond(404)
    refuse(api, OLDER_ENDPOINT.path, CYCLES)
    polled.poll("cycles")
    assert polled.client.key_refused


def test_a_key_that_is_revoked_between_two_polls_of_its_identity_lacks_no_permission(
    api: respx.Router, polled: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(SELF).respond(json=payload("devin/keys/self"))
    api.get(CYCLES).respond(json={"items": [BILLING]})
    polled.poll("identity", "cycles")
    refuse(api, SELF, CYCLES)
    polled.poll("cycles")
    assert polled.client.key_refused
    assert [record.getMessage() for record in caplog.records] == ["the API refuses the key (403)"]
    # The calendar month must not stand in for a cycle that only a good key could tell.
    start = polled.scrape().one("devin_billing_cycle_start_timestamp_seconds")
    assert start == BILLING["after"]


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_403_stays_a_lacking_permission_while_nobody_can_say_more(
    api: respx.Router, polled: Rig, outage: str
) -> None:
    api.get(SELF).mock(return_value=OUTAGES[outage])
    refuse(api, CYCLES)
    polled.poll("cycles")
    assert not polled.client.key_refused
    assert "ViewAccountConsumption" in str(polled.error("cycles"))


@pytest.mark.parametrize(("status", "body"), [(401, UNAUTHORIZED), (403, FORBIDDEN)])
def test_a_process_with_a_wrong_key_says_so_once_whatever_the_status(
    tmp_path: Path, status: int, body: bytes
) -> None:
    with fake_api(lambda _: (status, body)) as api:
        checked = finished("check", **settings(api.url))
        assert checked.returncode == 1
        assert checked.stdout.count("refuses the key") == 1
        assert "permission" not in checked.stdout
        assert api.requested == [SELF]
        with running(tmp_path, **settings(api.url)) as exporter:
            page = exporter.until('task="cycles",reason="unauthorized"} 1\n')
            ready = exporter.get("/-/ready")
            assert ready.status_code == 503
            assert ready.text == "not ready: the API refuses the key of: devin\n"
            assert exporter.end() == 0
            log = exporter.log.read_text()
    assert log.count(f"the API refuses the key ({status})") == 1
    assert "permission" not in log
    forbidden = [line for line in page.splitlines() if 'reason="forbidden"' in line]
    assert forbidden
    assert all(line.endswith(" 0") for line in forbidden)


def test_a_check_of_a_key_that_opens_nothing_says_that_and_names_no_permission() -> None:
    answer = (PAYLOADS / "devin" / "keys" / "self.json").read_bytes()
    with fake_api(lambda path: (200, answer) if path == SELF else (403, FORBIDDEN)) as api:
        checked = finished("check", **settings(api.url))
    assert checked.returncode == 1
    assert "every endpoint that needs a permission is refused (403)" in checked.stdout
    assert "the key needs the permission" not in checked.stdout
