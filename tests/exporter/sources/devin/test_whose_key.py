"""Whose key it is: by what it opens, where the response to `/v3/self` leaves that open."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import respx

from exporter.sources.devin import SOURCE, keys
from exporter.sources.devin.data_set import ENTERPRISE_ENDPOINTS
from exporter.sources.devin.identity import Identity
from tests.exporter.commands import finished
from tests.support.fake_api import fake_api, settings
from tests.support.processes import running
from tests.support.rig import PAYLOADS, Clock, Rig, at, make_client, payload, rig

NOW = at("2026-03-20 15:30:00")
URL = "https://api.test"
SELF = "/v3/self"
CYCLES = "/v3/enterprise/consumption/cycles"
PERSONAL = "devin/keys/variants/self_pat_user_with_org"
ADVICE = "a service user is meant for this"
FORBIDDEN = (PAYLOADS / "devin" / "keys" / "variants" / "error_403_bad_key.json").read_bytes()
BILLING = {"after": int(at("2026-03-05 08:00:00")), "before": int(at("2026-04-05 08:00:00"))}
ENTERPRISE_PATHS = [endpoint.path for endpoint in ENTERPRISE_ENDPOINTS]


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get(SELF).respond(json=payload(PERSONAL))
        yield router


@pytest.fixture
def polled(api: respx.Router) -> Iterator[Rig]:
    assert api is not None
    with rig(URL, Clock(NOW)) as made:
        yield made


@pytest.fixture
def identity(api: respx.Router) -> Identity:
    assert api is not None
    client = make_client(URL)
    return Identity(client, Clock(NOW), enterprise_endpoints=ENTERPRISE_ENDPOINTS)


def refuse(api: respx.Router, *paths: str, body: bytes = FORBIDDEN) -> None:
    headers = {"Content-Type": "application/json"}
    for path in paths:
        api.get(path).respond(403, content=body, headers=headers)


@pytest.mark.parametrize(
    ("org_id", "kind"), [(None, keys.ENTERPRISE), ("org-1", keys.ORGANIZATION)]
)
def test_a_service_users_key_is_what_the_response_says_and_nothing_is_tried(
    api: respx.Router, identity: Identity, org_id: str | None, kind: str
) -> None:
    answer = payload("devin/keys/self")
    assert isinstance(answer, dict)
    api.get(SELF).respond(json={**answer, "org_id": org_id})
    identity.poll()
    assert (identity.kind, identity.org_id) == (kind, org_id)
    assert len(api.calls) == 1


@pytest.mark.parametrize("principal", ["pat_user", "robot", None])
def test_a_token_that_opens_the_enterprise_is_the_enterprises_whatever_organization_it_names(
    api: respx.Router,
    identity: Identity,
    caplog: pytest.LogCaptureFixture,
    principal: str | None,
) -> None:
    answer = payload(PERSONAL)
    assert isinstance(answer, dict)
    api.get(SELF).respond(json={**answer, "principal_type": principal})
    api.get(CYCLES).respond(json={"items": [BILLING]})
    identity.poll()
    identity.poll()
    assert (identity.kind, identity.org_id) == (keys.ENTERPRISE, None)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("the key is an enterprise's: ")
    assert record.getMessage().endswith(ADVICE)
    assert "robot" not in record.getMessage()
    assert "Ada" not in record.getMessage()


def test_a_personal_token_without_an_organization_is_an_enterprises(
    api: respx.Router, identity: Identity
) -> None:
    api.get(SELF).respond(json=payload("devin/keys/variants/self_pat_user_null_org"))
    identity.poll()
    assert (identity.kind, identity.org_id) == (keys.ENTERPRISE, None)
    assert len(api.calls) == 1


def test_a_personal_token_that_every_enterprise_endpoint_refuses_is_its_organizations(
    api: respx.Router, identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(api, *ENTERPRISE_PATHS)
    identity.poll()
    assert (identity.kind, identity.org_id) == (keys.ORGANIZATION, "org-primary")
    assert [record.getMessage() for record in caplog.records] == [
        f"the key is an organization's: a personal token; {ADVICE}"
    ]


@pytest.mark.parametrize("opened", range(1, len(ENTERPRISE_PATHS)))
def test_one_enterprise_endpoint_that_opens_is_enough(
    api: respx.Router, identity: Identity, opened: int
) -> None:
    refuse(api, *ENTERPRISE_PATHS[:opened])
    json_ = {"items": [], "queue_size": 0, "status": "normal"}
    api.get(ENTERPRISE_PATHS[opened]).respond(json=json_)
    identity.poll()
    assert identity.kind == keys.ENTERPRISE


def test_an_endpoint_that_is_not_on_the_deployment_refuses_nobody(
    api: respx.Router, identity: Identity
) -> None:
    for path in ENTERPRISE_PATHS:
        api.get(path).respond(404)
    identity.poll()
    assert identity.kind == keys.ENTERPRISE


OUTAGES: Mapping[str, httpx.Response] = {
    "502": httpx.Response(502, headers={"Retry-After": "0"}),
    "422": httpx.Response(422),
    "a firewall's 403": httpx.Response(403, html="<html>"),
    "403 without a body": httpx.Response(403),
    "403 in JSON that is not the API's": httpx.Response(403, json={"message": "Forbidden"}),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_does_not_decide_whose_key_it_is(
    api: respx.Router, polled: Rig, outage: str
) -> None:
    org_tasks = ("identity", "queue")
    api.get(CYCLES).mock(return_value=OUTAGES[outage])
    polled.poll(*org_tasks)
    assert polled.error("identity") is not None
    off = polled.store.states()["queue"].switched_off
    assert off is None, "an enterprise's task must stay on"
    refuse(api, *ENTERPRISE_PATHS)
    polled.poll(*org_tasks)
    assert polled.store.states()["queue"].switched_off == "the key is an organization's"
    api.get(CYCLES).mock(return_value=OUTAGES[outage])
    polled.poll(*org_tasks)
    assert polled.store.states()["queue"].switched_off == "the key is an organization's"


def test_every_endpoint_that_is_tried_is_one_of_the_enterprise() -> None:
    assert set(ENTERPRISE_ENDPOINTS) <= set(SOURCE.endpoints)
    assert all(each.keys == keys.ENTERPRISE_ONLY for each in ENTERPRISE_ENDPOINTS)
    assert len({each.permission for each in ENTERPRISE_ENDPOINTS}) == len(ENTERPRISE_ENDPOINTS)


# Processes


def personal(path: str, opened: Mapping[str, object]) -> tuple[int, bytes]:
    """What a personal token gets that opens these paths alone."""
    if path == SELF:
        return 200, (PAYLOADS / f"{PERSONAL}.json").read_bytes()
    if path in opened:
        return 200, json.dumps(opened[path]).encode()
    return 403, FORBIDDEN


@pytest.mark.parametrize(
    ("opened", "kind"),
    [
        ({CYCLES: {"items": [BILLING]}}, keys.ENTERPRISE),
        (
            {
                "/v3/organizations/org-primary/consumption/daily": {
                    "total_acus": 0.0,
                    "consumption_by_date": [],
                }
            },
            keys.ORGANIZATION,
        ),
    ],
)
def test_a_process_with_a_personal_token_says_what_it_opens_and_what_is_meant_for_this(
    tmp_path: Path, opened: Mapping[str, object], kind: str
) -> None:
    whose = f"the key is an {kind}'s: a personal token; {ADVICE}"
    with fake_api(lambda path: personal(path, opened)) as api:
        checked = finished("check", **settings(api.url))
        assert checked.returncode == 1
        assert f"the key is an {kind}'s; it belongs to Ada Example" in checked.stdout
        assert whose in checked.stdout
        with running(tmp_path, **settings(api.url)) as exporter:
            exporter.until('devin_exporter_task_up{task="cycles"} 1')
            assert exporter.end() == 0
            log = exporter.log.read_text()
    assert log.count(whose) == 1
    assert kind == keys.ORGANIZATION or "task is off: the key" not in log
