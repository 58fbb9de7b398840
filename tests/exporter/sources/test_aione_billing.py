"""The gateway's billing and keys: what is certain is published, and no key leaves a response."""

import json
import logging
from collections.abc import Iterator

import pytest
import respx

from exporter.demo.endpoints import DEMO_KEYS, GATEWAY, DemoKey
from exporter.demo.gateway import SECRET_KEYS_BEGIN
from exporter.demo.people import Size
from exporter.errors import PagingError, PollError, ShapeError
from exporter.sources.aione import SOURCE, billing, dashboard, keys
from tests.conftest import Golden
from tests.exporter.commands import finished
from tests.support.rig import Clock, Rig, Scrape, at, payload, rig_of, simulated_api

URL = "https://gateway.test"
NOW = at("2026-03-31 15:30:00")
"""Half an hour before April in Shanghai."""


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def router() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL, assert_all_called=False) as made:
        made.get(dashboard.ENDPOINT.path).respond(json={"tech": {"total_requests": 1}})
        yield made


@pytest.fixture
def polled(router: respx.Router, clock: Clock) -> Iterator[Rig]:
    assert router is not None
    with rig_of(SOURCE, URL, clock, timezone="Asia/Shanghai") as made:
        yield made


def invoice(number: int, month: str, amount: object, **fields: object) -> dict[str, object]:
    return {"id": f"i{number}", "month": month, "amount_rmb": amount, "status": "paid", **fields}


def values(scrape: Scrape, *metrics: str) -> dict[tuple[str, ...], float]:
    return {
        (name, *dict(labels).values()): value
        for (name, labels), value in scrape.values.items()
        if name in metrics
    }


def test_the_simulated_billing_becomes_this_page(golden: Golden) -> None:
    clock = Clock(NOW)
    opened = {"a_token": DemoKey(api=GATEWAY)}
    with (
        simulated_api(Size(organizations=1, users=2, days=2), clock, keys=opened) as (_, api),
        rig_of(SOURCE, api.url, clock, token="a_token") as made,
    ):
        made.poll(billing.PLAN_TASK, billing.INVOICES_TASK, keys.TASK)
        golden.check(made.page())


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"balance_rmb": "1,234.50"}, {"aione_balance_rmb": 1234.5}),
        ({"balance": 7, "currency": "cny"}, {"aione_balance_rmb": 7}),
        ({"monthly_budget_rmb": "10", "balance": 7}, {"aione_budget_rmb": 10}),
        (
            {"budget": "10", "budget_remaining": "-2", "currency": "RMB"},
            {"aione_budget_rmb": 10, "aione_budget_left_rmb": -2},
        ),
        ({"balance_rmb": "soon", "balance": 7, "currency": "RMB", "budget_rmb": 1},
         {"aione_budget_rmb": 1}),
    ],
)  # fmt: skip
def test_an_amount_of_the_plan_is_published_if_it_is_certain_to_be_rmb(
    router: respx.Router, polled: Rig, plan: dict[str, object], expected: dict[str, float]
) -> None:
    router.get(billing.PLAN.path).respond(json=plan)
    polled.poll(billing.PLAN_TASK)
    names = [metric.name for metric in billing.PLAN_METRICS]
    assert values(polled.scrape(), *names) == {(name,): v for name, v in expected.items()}


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"balance_rmb": 7, "budget": 10}, "plan.budget"),
        ({"balance_rmb": 7, "budget_left": 10, "currency": "USD"}, "plan.budget_left"),
        ({"balance_rmb": 7, "budget_rmb": "soon"}, "plan.budget_rmb"),
        ({"budget_rmb": 7, "account_balance_rmb": 3}, "plan.account_balance_rmb"),
    ],
)
def test_an_amount_of_the_plan_that_is_not_read_is_absent_and_named(
    router: respx.Router, polled: Rig, plan: dict[str, object], field: str
) -> None:
    router.get(billing.PLAN.path).respond(json={"name": "pro", **plan})
    polled.poll(dashboard.TASK, billing.PLAN_TASK)
    scrape = polled.scrape()
    assert scrape.one("aione_unreadable_values", field=field) == 1
    names = [metric.name for metric in billing.PLAN_METRICS]
    assert list(values(scrape, *names).values()) == [7]


@pytest.mark.parametrize("plan", [{}, {"balance": 7}, {"balance": 7, "currency": "USD"}])
def test_a_plan_without_a_certain_amount_is_a_failed_poll(
    router: respx.Router, polled: Rig, plan: dict[str, object]
) -> None:
    router.get(billing.PLAN.path).respond(json=plan)
    polled.poll(billing.PLAN_TASK)
    assert isinstance(polled.error(billing.PLAN_TASK), ShapeError)


def test_invoices_are_added_up_by_month_and_status_until_the_month_ends(
    router: respx.Router, polled: Rig, clock: Clock
) -> None:
    router.get(billing.INVOICES.path).respond(
        json=[
            invoice(1, "2026-03", "0.10"),
            invoice(2, "2026-03", "0.20"),
            invoice(3, "2026-03", "5", status="void"),
            invoice(4, "2026-02", "70"),
            invoice(5, "2025-12", "9"),
        ]
    )
    polled.poll(billing.INVOICES_TASK)
    month, before = (metric.name for metric in billing.INVOICE_METRICS)
    assert values(polled.scrape(), month, before) == {
        (month, "paid"): 0.3,
        (month, "void"): 5,
        (before, "paid"): 70,
    }
    clock.now += 1_800
    assert values(polled.scrape(), month, before) == {}
    polled.poll(billing.INVOICES_TASK)
    assert values(polled.scrape(), month, before) == {(before, "paid"): 0.3, (before, "void"): 5}


@pytest.mark.parametrize(
    ("size", "count", "end"),
    [
        (billing.PAGE_SIZE, billing.PAGE_SIZE, "empty"),
        (billing.PAGE_SIZE, billing.PAGE_SIZE + 1, "empty"),
        (billing.PAGE_SIZE, billing.PAGE_SIZE + 1, "the last page again"),
        (20, 100, "empty"),
        (20, 101, "empty"),
        (20, 100, "the last page again"),
    ],
)
def test_all_pages_of_invoices_are_read_even_if_the_gateway_makes_them_shorter(
    router: respx.Router, polled: Rig, size: int, count: int, end: str
) -> None:
    every = [invoice(number, "2026-03", 1) for number in range(count)]
    pages = [every[first : first + size] for first in range(0, count, size)]
    pages.append([] if end == "empty" else pages[-1])
    for number, rows in enumerate(pages, start=1):
        router.get(billing.INVOICES.path, params={"page": number}).respond(json=rows)
    polled.poll(billing.INVOICES_TASK)
    assert polled.scrape().one("aione_month_invoices_rmb", status="paid") == len(every)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([invoice(n, "2026-03", 1) for n in range(billing.PAGE_SIZE)], PagingError),
        ([invoice(1, "2026-03", 1), invoice(1, "2026-03", 1)], PagingError),
        ([invoice(1, "2026-03", 1), invoice(2, "2026-03", "-")], ShapeError),
        ([{"id": "1", "month": "2026-03", "amount": 1, "status": "paid"}], ShapeError),
        ([invoice(1, "March", 1)], ShapeError),
    ],
    ids=["the same page again", "twice", "no amount", "no currency", "no month"],
)
def test_invoices_that_are_not_certain_to_be_whole_are_a_failed_poll(
    router: respx.Router, polled: Rig, rows: object, error: type[PollError]
) -> None:
    router.get(billing.INVOICES.path).respond(json=rows)
    polled.poll(billing.INVOICES_TASK)
    assert isinstance(polled.error(billing.INVOICES_TASK), error)
    assert not [n for n in polled.scrape().names() if n.startswith("aione_")]


def test_limits_are_those_of_all_keys_of_a_team(router: respx.Router, polled: Rig) -> None:
    rows = [
        {"team_id": "t1", "rpm_limit": 60, "tpm_limit": 1_000},
        {"team_id": "t1", "rpm_limit": "90", "tpm_limit": None},
        {"team_id": None, "rpm_limit": 5},
    ]
    router.get(keys.ENDPOINT.path).respond(json={"items": rows, "total": 3})
    polled.poll(keys.TASK)
    assert values(polled.scrape(), *(metric.name for metric in keys.METRICS)) == {
        ("aione_team_keys", "t1"): 2,
        ("aione_team_keys", ""): 1,
        ("aione_team_requests_per_minute_limit", "t1"): 150,
        ("aione_team_requests_per_minute_limit", ""): 5,
    }


@pytest.mark.parametrize(
    "more", [{"total": 2}, {"total_count": 2}, {"total": "many"}, {"has_more": True}]
)
def test_a_part_of_the_keys_is_no_limit(
    router: respx.Router, polled: Rig, more: dict[str, object]
) -> None:
    router.get(keys.ENDPOINT.path).respond(json={"items": [{"rpm_limit": 60}], **more})
    polled.poll(keys.TASK)
    assert isinstance(polled.error(keys.TASK), PagingError)


def test_values_that_make_no_sense_are_absent_counted_and_logged_once(
    router: respx.Router, polled: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"rpm_limit": "many", "tpm_limit": 1}, {"rpm_limit": -1, "tpm_limit": 2}]
    router.get(billing.PLAN.path).respond(json={"balance_rmb": "soon", "budget_rmb": 1})
    router.get(keys.ENDPOINT.path).respond(json={"items": rows})
    for _ in range(2):
        polled.poll(dashboard.TASK, billing.PLAN_TASK, keys.TASK)
    scrape = polled.scrape()
    assert values(scrape, "aione_unreadable_values") == {
        ("aione_unreadable_values", "plan.balance_rmb"): 1,
        ("aione_unreadable_values", "keys.items.rpm_limit"): 2,
    }
    assert scrape.one("aione_balance_rmb") is None
    assert scrape.one("aione_team_requests_per_minute_limit", team_id="") is None
    assert scrape.one("aione_team_tokens_per_minute_limit", team_id="") == 3
    logged = [r.getMessage() for r in caplog.records if "make no sense" in r.getMessage()]
    assert logged == [
        "values that make no sense are absent: plan.balance_rmb",
        "values that make no sense are absent: keys.items.rpm_limit",
    ]
    router.get(billing.PLAN.path).respond(json={"balance_rmb": 2})
    polled.poll(billing.PLAN_TASK)
    assert len(values(polled.scrape(), "aione_unreadable_values")) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_what_the_gateway_lacks_is_off_and_has_not_failed(
    router: respx.Router, polled: Rig, status: int
) -> None:
    for endpoint in SOURCE.endpoints[1:]:
        router.get(endpoint.path).respond(status)
    polled.poll()
    assert list(polled.scrape().family("devin_exporter_task_up")) == [
        frozenset({("task", dashboard.TASK)})
    ]


def test_no_key_is_kept_logged_or_published(
    router: respx.Router, polled: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret, prefix = f"{SECRET_KEYS_BEGIN}of-somebody", f"{SECRET_KEYS_BEGIN}of"
    row = {"team_id": "t1", "name": secret, "key": secret, "key_prefix": prefix, "rpm_limit": 1}
    for rows in ([row], [{**row, "team_id": 7}], {"key": secret}, [{**row, "rpm_limit": secret}]):
        router.get(keys.ENDPOINT.path).respond(json={"items": rows})
        polled.poll(keys.TASK)
        kept = repr(polled.store.states()) + polled.page() + str(polled.own().values)
        assert SECRET_KEYS_BEGIN not in kept + caplog.text + str(polled.error(keys.TASK))
    listed = keys.ENDPOINT.response.validate_json(json.dumps({"items": [row]}))
    assert SECRET_KEYS_BEGIN not in repr(listed)
    assert isinstance(payload("aione/variants/aione_keys"), dict)


def test_check_names_no_key() -> None:
    opened = {DEMO_KEYS[GATEWAY]: DemoKey(api=GATEWAY)}
    size = Size(organizations=1, users=2, days=2)
    with simulated_api(size, Clock(NOW), keys=opened) as (_, api):
        ended = finished("check", AIONE_API_URL=api.url, AIONE_TOKEN=DEMO_KEYS[GATEWAY])
    assert ended.returncode == 0, ended.stderr
    for endpoint in SOURCE.endpoints:
        assert endpoint.path in ended.stdout
    assert SECRET_KEYS_BEGIN not in ended.stdout + ended.stderr
