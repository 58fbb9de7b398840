"""Which proxy the environment names for an address."""

import pytest

from exporter.config.proxies import proxy_for, unreadable_exceptions
from exporter.config.settings import SettingsError

PROXY = "http://proxy.example.com:3128"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.mark.parametrize(
    ("variable", "value", "proxy"),
    [
        ("HTTPS_PROXY", PROXY, PROXY),
        ("https_proxy", PROXY, PROXY),
        ("ALL_PROXY", PROXY, PROXY),
        ("HTTPS_PROXY", "proxy.example.com:3128", PROXY),
        ("HTTP_PROXY", PROXY, None),
        ("HTTPS_PROXY", "", None),
    ],
)
def test_the_variable_of_the_scheme_counts_and_then_that_of_all(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, proxy: str | None
) -> None:
    monkeypatch.setenv(variable, value)
    assert proxy_for("https://api.example.com") == proxy


@pytest.mark.parametrize(
    ("exceptions", "url"),
    [
        ("*", "https://api.example.com"),
        ("localhost, example.com", "https://api.example.com"),
        ("localhost api.example.com", "https://api.example.com"),
        ("API.Example.com.", "https://api.example.com"),
        (".example.com", "https://api.example.com"),
        ("*.example.com", "https://api.example.com"),
        ("api.example.com:443", "https://api.example.com"),
        ("https://api.example.com", "https://api.example.com/v3"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("10.1.2.3", "https://10.1.2.3:8443"),
        ("10.1.2.3:8443", "https://10.1.2.3:8443"),
        ("fd00::/8", "https://[fd00::7]"),
        ("[fd00::7]", "https://[fd00::7]"),
        ("fd00::7", "https://[fd00::7]:8443"),
        ("[fd00::7]:8443", "https://[fd00::7]:8443"),
    ],
)
def test_exceptions_are_hosts_domains_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for(url) is None
    assert unreadable_exceptions() == []


@pytest.mark.parametrize(
    "exceptions",
    [
        "example.org",
        "ample.com",
        ".api.example.com",
        "*.api.example.com",
        "api.example.com:8443",
        "http://api.example.com",
        "10.0.0.0/8,fd00::/8,[::1]",
        "",
    ],
)
def test_all_other_addresses_go_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, exceptions: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for("https://api.example.com") == PROXY


def test_unreadable_exceptions_are_counted_and_take_no_other_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "fd00::/999,example.com, [::1,http://,a/b,host:port,localhost")
    assert unreadable_exceptions() == [1, 3, 4, 5, 6]
    assert proxy_for("https://api.example.com") is None
    assert proxy_for("https://api.example.org") == PROXY


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("proxy", ["socks5://u:pass@proxy", "http://", "http://u:pass@h:port"])
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(SettingsError) as bad:
        proxy_for("https://api.example.com")
    assert bad.value.lines == (f"{variable}: wants http://host:port or https://host:port",)
