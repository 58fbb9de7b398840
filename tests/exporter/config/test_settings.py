"""Settings from the environment and from flags, and what is said of bad ones."""

import pytest

from exporter.cli.catalogue import ALL_SECTIONS
from exporter.config.settings import (
    LogSettings,
    Section,
    SettingsError,
    WebSettings,
    is_loopback,
    load,
    misspelt,
    parse_addresses,
    settings_of,
)
from exporter.sources.devin.settings import DevinSettings
from exporter.sources.devin_api import DevinApiSettings
from tests.support.rig import fields_of, make_client

SECRET = "cog_a_secret_of_the_tests"


def complaints(**fields: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as bad:
        load(
            (DevinSettings, DevinApiSettings), fields_of(DevinSettings, DevinApiSettings, **fields)
        )
    return bad.value.lines


def test_every_setting_has_a_description_and_a_flag_that_follows_from_its_variable() -> None:
    flags = {setting.variable: setting.flag for setting in settings_of(ALL_SECTIONS)}
    assert flags["DEVIN_POLL_INTERVAL"] == "--devin.poll-interval"
    assert flags["WEB_LISTEN_ADDRESS"] == "--web.listen-address"
    assert flags["DEVIN_SERVICE_USER_TOKEN_FILE"] == "--devin.service-user-token-file"
    assert flags["DEVIN_SERVICE_USER_TOKEN"] is None
    assert all(setting.info.description for setting in settings_of(ALL_SECTIONS))


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load(ALL_SECTIONS, {})
    devin = settings[DevinSettings]
    assert settings[DevinApiSettings].api_url == "https://api.devin.ai"
    assert (devin.poll_interval, devin.requests_per_second, devin.concurrency) == (300, 10, 8)
    assert devin.key() is None
    assert settings[WebSettings].listen_address == ":9877"
    assert settings[WebSettings].telemetry_path == "/metrics"


def test_the_environment_is_read_and_a_flag_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVIN_POLL_INTERVAL", "60")
    monkeypatch.setenv("DEVIN_CONCURRENCY", "3")
    devin = load((DevinSettings,), {DevinSettings: {"poll_interval": "30"}})[DevinSettings]
    assert (devin.poll_interval, devin.concurrency) == (30, 3)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVIN_SERVICE_USER_TOKEN", "")
    monkeypatch.setenv("DEVIN_POLL_INTERVAL", "")
    devin = load((DevinSettings,), {})[DevinSettings]
    assert devin.key() is None
    assert devin.poll_interval == 300


def test_all_bad_settings_are_told_at_once_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVIN_POLL_INTERVAL", "0.5")
    monkeypatch.setenv("DEVIN_CONCURRENCY", "many")
    monkeypatch.setenv("WEB_LISTEN_ADDRESS", "nowhere")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as bad:
        load(ALL_SECTIONS, {})
    named = [line.partition(":")[0] for line in bad.value.lines]
    assert named == [
        "DEVIN_POLL_INTERVAL",
        "DEVIN_CONCURRENCY",
        "WEB_LISTEN_ADDRESS",
        "LOG_LEVEL",
    ]
    assert "greater than or equal to 1" in bad.value.lines[0]
    assert "host:port" in bad.value.lines[2]


@pytest.mark.parametrize(
    "field", ["api_url", "poll_interval", "ca_file", "concurrency", "service_user_token_file"]
)
def test_a_secret_in_the_wrong_place_is_not_repeated(field: str) -> None:
    assert SECRET not in "\n".join(complaints(**{field: SECRET}))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.devin.ai",
        "ftp://api.devin.ai",
        "api.devin.ai",
        "https://",
        "https://user:pass@api.devin.ai",
        "https://api.devin.ai?x=1",
        "https://api.devin.ai:port",
        "http://localhost.example.com",
        "https://a..b",
        "https://exa mple",
    ],
)
def test_a_url_that_would_leak_the_key_or_lead_nowhere_is_refused(url: str) -> None:
    (line,) = complaints(api_url=url)
    assert line.startswith("DEVIN_API_URL: wants https://host")


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com/", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"],
)
def test_https_anywhere_and_http_on_loopback_are_fine(url: str) -> None:
    settings = load((DevinApiSettings,), {DevinApiSettings: {"api_url": url}})
    assert settings[DevinApiSettings].api_url == url.rstrip("/")


@pytest.mark.parametrize("proxy", ["socks5://user:pass@proxy", "gopher://proxy"])
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as bad:
        make_client("https://api.example.com")
    assert "pass" not in str(bad.value)
    make_client("http://127.0.0.1:1").close()


def test_loopback_is_told_by_address_not_by_look() -> None:
    assert is_loopback("127.8.8.8")
    assert not is_loopback("127.0.0.1.example.com")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (":9877", [("", 9877)]),
        ("127.0.0.1:0", [("127.0.0.1", 0)]),
        ("[::1]:9877", [("::1", 9877)]),
        ("localhost:1, [::]:2", [("localhost", 1), ("::", 2)]),
    ],
)
def test_addresses_are_read(text: str, addresses: list[tuple[str, int]]) -> None:
    assert parse_addresses(text) == addresses


@pytest.mark.parametrize("text", ["", "9877", "::1:9877", "host:", "host:http", ":65536", ":1,"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wants host:port"):
        parse_addresses(text)


@pytest.mark.parametrize("path", ["metrics", "/", "/-/ready", "/a b", "/metrics?x", "/{x}"])
def test_other_telemetry_paths_are_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="WEB_TELEMETRY_PATH: wants a path"):
        load((WebSettings,), {WebSettings: {"telemetry_path": path}})


def test_misspelt_variables_are_told_and_those_of_others_are_not() -> None:
    given = [
        "DEVIN_POLL_INTERVALL",
        "DEVIN_SERVICE_TOKEN",
        "DEVIN_POLL_INTERVAL",
        "WEB_CONCURRENCY",
        "DEVIN_X",
        "LOG_LEVELS",
        "PATH",
    ]
    assert list(misspelt(ALL_SECTIONS, dict.fromkeys(given, "1"))) == [
        ("DEVIN_POLL_INTERVALL", "DEVIN_POLL_INTERVAL"),
        ("DEVIN_SERVICE_TOKEN", "DEVIN_SERVICE_USER_TOKEN"),
        ("LOG_LEVELS", "LOG_LEVEL"),
    ]


@pytest.mark.parametrize("level", ["warning", "WARNING", "warn", "Warn", " warn "])
def test_a_level_is_understood_in_every_usual_spelling(level: str) -> None:
    assert load((LogSettings,), {LogSettings: {"level": level}})[LogSettings].level == "warning"


def test_words_are_understood_in_any_case_and_others_refused() -> None:
    settings = load(
        (LogSettings, DevinSettings),
        {LogSettings: {"format": "JSON"}, DevinSettings: {"user_metrics": "Off"}},
    )
    assert settings[LogSettings].format == "json"
    assert settings[DevinSettings].user_metrics == "off"
    with pytest.raises(SettingsError, match="LOG_FORMAT"):
        load((LogSettings,), {LogSettings: {"format": "xml"}})


def test_each_part_is_handed_its_own_section() -> None:
    class Foreign(Section):
        """Not loaded."""

    settings = load((WebSettings,), {})
    assert settings[WebSettings].telemetry_path == "/metrics"
    with pytest.raises(KeyError):
        settings[Foreign]
