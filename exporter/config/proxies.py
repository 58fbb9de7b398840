"""The proxy for an address, by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`."""

import os
import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

import httpx

from exporter.config.settings import SettingsError

_SCHEMES = frozenset({"http", "https"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\*?\.)?[\w-]+(\.[\w-]+)*\.?", re.ASCII)


def proxy_for(url: str) -> str | None:
    """The URL of the proxy for requests to this URL; None without a proxy.

    Raises:
        SettingsError: naming the variable of an invalid proxy, but not its value.
    """
    proxies = getproxies()
    address = urlsplit(url)
    scheme = next((name for name in (address.scheme, "all") if proxies.get(name)), None)
    if scheme is None or any(_matches(entry, address) for _, entry in _exceptions(proxies)):
        return None
    proxy = proxies[scheme] if "://" in proxies[scheme] else f"http://{proxies[scheme]}"
    try:
        parsed = httpx.URL(proxy)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL()
    if parsed.scheme not in _SCHEMES or not parsed.host:
        variable = f"{scheme}_proxy"
        name = variable if variable in os.environ else variable.upper()
        raise SettingsError([f"{name}: wants http://host:port or https://host:port"])
    return proxy


def unreadable_exceptions() -> list[int]:
    """The numbers, from 1, of `NO_PROXY` entries that are no host, address or network."""
    return [number for number, entry in _exceptions(getproxies()) if not _is_readable(entry)]


def _exceptions(proxies: dict[str, str]) -> Iterator[tuple[int, str]]:
    entries = re.split(r"[\s,]+", proxies.get("no", ""))
    yield from enumerate((entry.lower() for entry in entries if entry), start=1)


def _is_readable(entry: str) -> bool:
    return entry == "*" or _is_network(entry) or _parsed(entry) is not None


def _is_network(text: str) -> bool:
    return _network(text) is not None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        return ip_network(text[1:-1] if bracketed else text, strict=False)
    except ValueError:
        return None


def _parsed(entry: str) -> SplitResult | None:
    """Parse `host`, `.host` or `*.host`, with or without scheme and port; None if it is invalid."""
    try:
        parsed = urlsplit(entry if "://" in entry else f"//{entry}")
        _ = parsed.port
    except ValueError:
        return None
    host = parsed.hostname or ""
    whole = not (parsed.path.strip("/") or parsed.query or parsed.fragment)
    return parsed if whole and (_HOST.fullmatch(host) or _is_network(host)) else None


def _matches(entry: str, address: SplitResult) -> bool:
    host = (address.hostname or "").rstrip(".")
    if entry == "*":
        return True
    if (network := _network(entry)) is not None:
        return _is_within(host, network)
    parsed = _parsed(entry)
    if parsed is None:
        return False
    port = address.port or _DEFAULT_PORTS.get(address.scheme)
    if parsed.scheme not in {"", address.scheme} or parsed.port not in {None, port}:
        return False
    name = (parsed.hostname or "").rstrip(".")
    if (network := _network(name)) is not None:
        return _is_within(host, network)
    domain = name.lstrip("*.")
    only_below = name != domain
    return host.endswith(f".{domain}") or (host == domain and not only_below)


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False
