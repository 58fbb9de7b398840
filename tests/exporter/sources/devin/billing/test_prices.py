"""The price of an ACU: by day and product, published with the day, and errors that name a place."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal

import pytest

from exporter.client.checkpoint import Checkpoint
from exporter.demo.people import Size
from exporter.exposition.openmetrics import BackfillRange
from exporter.sources.devin import SOURCE
from exporter.sources.devin.backfill.plan import backfill
from exporter.sources.devin.billing.windows import DAY, day_number
from exporter.sources.devin.derived.prices import parse_prices
from tests.support.rig import Clock, Rig, Scrape, at, rig, simulated_api

DATED = "2026-01-01=2.00,2026-03-20=2.25"
BY_PRODUCT = f"devin={DATED};cascade=1.5"


def day(text: str) -> int:
    return day_number(at(f"{text} 00:00:00"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.25", {("devin", "1990-01-01"): "2.25", ("new", "2030-01-01"): "2.25"}),
        (" 0 ", {("devin", "2026-01-01"): "0"}),
        (
            DATED,
            {
                ("devin", "2025-12-31"): None,
                ("devin", "2026-01-01"): "2.00",
                ("devin", "2026-03-19"): "2.00",
                ("cascade", "2026-03-20"): "2.25",
            },
        ),
        (
            BY_PRODUCT,
            {
                ("devin", "2025-12-31"): None,
                ("devin", "2026-03-20"): "2.25",
                ("cascade", "1990-01-01"): "1.5",
                ("terminal", "2026-03-20"): None,
            },
        ),
        (
            "cascade=1.5; 2.25",
            {("cascade", "2026-01-01"): "1.5", ("unknown", "2026-01-01"): "2.25"},
        ),
    ],
)
def test_a_product_has_the_price_of_its_day(
    text: str, expected: Mapping[tuple[str, str], str | None]
) -> None:
    prices = parse_prices(text)
    for (product, date), price in expected.items():
        assert prices.of(product, day(date)) == (Decimal(price) if price else None)


def test_there_is_one_price_of_all_products_only_if_none_has_its_own() -> None:
    assert parse_prices(DATED).of_all(day("2026-03-20")) == Decimal("2.25")
    assert parse_prices("cascade=1.5;2.25").of_all(day("2026-03-20")) is None
    assert parse_prices("cascade=1.5").of_all(day("2026-03-20")) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dear", ""),
        ("nan", ""),
        ("-1", ""),
        ("1e30", ""),
        ("2,25", "entry 1: wants a date"),
        ("2026-01-01=2.00,2.25", "entry 2: wants a date"),
        ("2026-02-30=2.00", "wants a date of the calendar"),
        ("2026-1-1=2.00", "wants a date of the calendar"),
        ("2026-01-01=2.00,2026-07-01=", "entry 2: wants a price"),
        ("2026-07-01=2.00,2026-01-01=2.25", "entry 2: wants a later date"),
        ("2026-07-01=2.00,2026-07-01=2.25", "entry 2: wants a later date"),
        ("2.25;cascade=cheap", "part 2: wants a price"),
        ("2.25;cascade=2026-01-01=1,2026-13-01=2", "part 2, entry 2: wants a date"),
        ("2.25;1.50", "part 2: a second price without a product"),
        ("cascade=1;cascade=2", "part 2: a second price of the same product"),
        ("2.25;", "part 2: wants a price"),
        ("=2.25", "wants a date of the calendar"),
    ],
)
def test_a_price_that_cannot_be_read_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(ValueError, match=r"wants|second") as refused:
        parse_prices(text)
    assert str(refused.value).startswith(place)


def prices_in(scrape: Scrape, name: str) -> dict[str, float]:
    return {dict(labels)["product"]: value for labels, value in scrape.family(name).items()}


@contextmanager
def polled(clock: Clock, price: str, *tasks: str) -> Iterator[Rig]:
    size = Size(organizations=2, users=8, days=30)
    with (
        simulated_api(size, clock) as (_, api),
        rig(api.url, clock, acu_price=price, acu_currency="EUR") as made,
    ):
        made.poll("identity", "cycles", *tasks)
        yield made


def test_prices_change_in_the_second_in_which_a_billing_day_begins() -> None:
    clock = Clock(at("2026-03-20 07:59:59"))
    with polled(clock, DATED, "enterprise_consumption") as made:
        before = made.scrape()
        assert before.one("devin_acu_price", currency="EUR") == 2
        clock.now += 1
        after = made.scrape()
        assert after.one("devin_acu_price", currency="EUR") == 2.25
        assert prices_in(after, "devin_product_acu_price") == dict.fromkeys(
            ("devin", "cascade", "terminal", "review"), 2.25
        )
        assert set(prices_in(after, "devin_product_acu_price_yesterday").values()) == {2}
        clock.now += 86_400
        next_day = made.scrape()
        assert set(prices_in(next_day, "devin_product_acu_price_yesterday").values()) == {2.25}


def test_a_price_is_absent_in_the_hour_in_which_its_day_may_have_ended() -> None:
    clock = Clock(at("2026-03-20 06:59:59"))
    with polled(clock, f"{DATED};cascade=1.5") as made:
        assert prices_in(made.scrape(), "devin_product_acu_price") == {
            "cascade": 1.5,
            "devin": 2,
            "terminal": 2,
        }
        clock.now += 1
        assert prices_in(made.scrape(), "devin_product_acu_price") == {"cascade": 1.5}
        clock.now = at("2026-03-20 08:00:00")
        assert prices_in(made.scrape(), "devin_product_acu_price")["devin"] == 2.25


def test_where_products_have_prices_of_their_own_no_price_is_that_of_all() -> None:
    with polled(Clock(at("2026-03-20 15:00:00")), BY_PRODUCT, "enterprise_consumption") as made:
        scrape = made.scrape()
        assert scrape.family("devin_acu_price") == {}
        assert prices_in(scrape, "devin_product_acu_price") == {"devin": 2.25, "cascade": 1.5}


def test_before_the_first_date_there_is_no_price() -> None:
    with polled(Clock(at("2026-03-19 15:00:00")), "2026-03-20=2.25") as made:
        assert not [name for name in made.scrape().names() if "acu_price" in name]


def test_the_history_has_the_price_of_each_day() -> None:
    now = at("2026-03-22 15:00:00")
    with (
        polled(Clock(now), f"{DATED};cascade=1.5") as made,
        closing(Checkpoint.temporary()) as checkpoint,
    ):
        planned = backfill(made.opened[0], BackfillRange(days=5, until=now))
        segments = list(planned.stretches(checkpoint))

    def of(name: str, product: str) -> list[tuple[float, float, float]]:
        return [
            (each.start, each.end, each.sample.value)
            for each in segments
            if each.sample.metric.name == name and each.sample.labels == (product, "EUR")
        ]

    first, changed, last = at("2026-03-18 08:00:00"), at("2026-03-20 08:00:00"), now + 1
    assert of("devin_product_acu_price", "devin") == [
        (first, changed, 2),
        (changed, last, 2.25),
    ]
    assert of("devin_product_acu_price_yesterday", "devin") == [
        (first, changed + DAY, 2),
        (changed + DAY, last, 2.25),
    ]
    assert of("devin_product_acu_price", "cascade") == [(first, last, 1.5)]
    assert not [s for s in segments if s.sample.metric.name == "devin_acu_price"]


@pytest.mark.parametrize(
    ("price", "named"),
    [
        ("2.25;casacde=1.5", "casacde"),
        ("2.25;cascade=1.5;unknown=1;review=2", ""),
    ],
)
def test_check_names_products_with_a_price_that_have_no_use(price: str, named: str) -> None:
    clock = Clock(at("2026-03-31 12:00:00"))
    with (
        simulated_api(Size(organizations=1, users=30, days=60), clock) as (_, api),
        rig(api.url, clock, acu_price=price) as made,
    ):
        report = SOURCE.check(made.opened[0])
    notes = [line for line in report.lines if "DEVIN_ACU_PRICE" in line]
    assert [line.split(": ")[1].split(";")[0] for line in notes] == ([named] if named else [])
    assert report.passed
