"""When billing days start, and what days of other forms are read as."""

from collections.abc import Iterator

import pytest
import respx

from exporter.sources.devin.billing.day_start import HOUR, DayStart
from exporter.sources.devin.billing.windows import DAY, DOCUMENTED, LOS_ANGELES
from tests.support.rig import Clock, Rig, at, payload, rig

URL = "https://api.test"
DAILY = "/v3/enterprise/consumption/daily"
NOON = at("2026-05-21 12:00:00")
Api = respx.Router
OF_FOUR = {"devin": 100, "cascade": 300, "terminal": 80, "review": 20}
OF_TWO = {"devin": 2, "cascade": 0.5, "terminal": 0, "review": 0}


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/v3/self").respond(json=payload("devin/keys/self"))
        router.get("/v3/enterprise/consumption/cycles").respond(404)
        yield router


def hour(day_start: DayStart, now: float = NOON) -> float | None:
    samples = day_start.snapshot(now, 900.0).samples
    assert all(sample.metric is HOUR for sample in samples)
    return samples[0].value if samples else None


@pytest.mark.parametrize(
    ("seen", "calendars"),
    [
        ((), (DOCUMENTED, LOS_ANGELES)),
        (("2026-01-10 08:00:00",), (DOCUMENTED, LOS_ANGELES)),
        (("2026-05-20 08:00:00",), (DOCUMENTED,)),
        (("2026-05-20 07:00:00",), (LOS_ANGELES, DOCUMENTED)),
        (("2026-05-20 00:00:00",), (DOCUMENTED, LOS_ANGELES)),
        (("2026-05-20 22:13:20",), (DOCUMENTED, LOS_ANGELES)),
        (("2025-11-01 07:00:00", "2026-01-10 08:00:00"), (LOS_ANGELES, DOCUMENTED)),
        (("2026-05-20 07:00:00", "2026-05-20 08:00:00"), (DOCUMENTED, LOS_ANGELES)),
        (("2026-05-20 07:00:00", "2026-05-21 08:00:00"), (DOCUMENTED,)),
    ],
    ids=[
        "no day",
        "a day in winter",
        "summer at eight",
        "summer at seven",
        "no time of day",
        "another time",
        "last summer at seven, then winter",
        "both for one day",
        "the newer one counts",
    ],
)
def test_the_newest_day_of_summer_shows_which_calendar_may_apply(
    seen: tuple[str, ...], calendars: tuple[object, ...]
) -> None:
    day_start = DayStart()
    day_start.observe(map(at, seen), requested_at=NOON)
    assert day_start.calendars() == calendars


def test_milliseconds_are_read_as_such() -> None:
    day_start = DayStart()
    day_start.observe([at("2026-05-20 07:00:00") * 1_000], requested_at=NOON)
    assert hour(day_start) == 7


def test_the_hour_is_absent_where_one_day_has_two_and_once_the_response_is_too_old() -> None:
    day_start = DayStart()
    assert hour(day_start) is None
    day_start.observe([at("2026-05-20 07:00:00")], requested_at=NOON)
    assert hour(day_start, NOON + 899) == 7
    assert hour(day_start, NOON + 900) is None
    day_start.observe([at("2026-05-20 08:00:00")], requested_at=NOON)
    assert hour(day_start) is None


def test_a_day_of_the_future_shows_nothing() -> None:
    day_start = DayStart()
    day_start.observe([at("2026-05-20 07:00:00"), at("4026-05-22 08:00:00")], requested_at=NOON)
    assert hour(day_start) == 7
    assert day_start.calendars() == (LOS_ANGELES, DOCUMENTED)


def polled_at(api: Api, name: str, now: float) -> Rig:
    api.get(DAILY).respond(json=payload(f"devin/consumption/variants/{name}"))
    with rig(URL, Clock(now)) as polled:
        polled.poll("identity", "cycles", "enterprise_consumption")
        return polled


@pytest.mark.parametrize(
    ("name", "day", "start", "acus"),
    [
        ("consumption_daily_epoch", "2026-05-16", 8, OF_FOUR),
        ("consumption_daily_string_date", "2026-05-20", None, OF_FOUR),
        ("consumption_daily_nulls", "2023-11-14", (22 * 3_600 + 13 * 60 + 20) / 3_600, OF_TWO),
    ],
)
def test_a_day_is_read_in_every_form_that_was_met(
    api: Api, name: str, day: str, start: float | None, acus: dict[str, float]
) -> None:
    polled = polled_at(api, name, at(f"{day} 12:00:00") + DAY)
    scrape = polled.scrape()
    assert scrape.one("devin_billing_day_start_hour") == start
    shown = scrape.family("devin_consumption_yesterday_acus")
    assert {dict(labels)["product"]: value for labels, value in shown.items()} == acus


def test_an_unmetered_plan_has_no_days_and_no_hour(api: Api) -> None:
    polled = polled_at(api, "consumption_daily_unmetered", NOON)
    assert polled.error("enterprise_consumption") is None
    assert polled.scrape().one("devin_billing_day_start_hour") is None


@pytest.mark.parametrize("date", ["yesterday", "2026-05-20T08:00:00Z", "20260520", 1.5, -1, None])
def test_a_date_of_another_form_is_an_error_that_names_the_field(api: Api, date: object) -> None:
    row = {"date": date, "acus": 1.0, "acus_by_product": {"devin": 1.0}}
    api.get(DAILY).respond(json={"total_acus": 1.0, "consumption_by_date": [row]})
    with rig(URL, Clock(NOON)) as polled:
        polled.poll("identity", "cycles", "enterprise_consumption")
        assert "consumption_by_date.[].date" in str(polled.error("enterprise_consumption"))
