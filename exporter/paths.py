"""Path templates filled with ids."""

from collections.abc import Mapping
from urllib.parse import quote

from exporter.errors import UnaskableError


def fill(endpoint: str, ids: Mapping[str, str]) -> str:
    """Put ids into a path template, with every byte outside RFC 3986's unreserved encoded."""
    for name, value in ids.items():
        if f"{{{name}}}" not in endpoint:
            continue
        # Dots alone would be resolved away, and another endpoint asked.
        if value in {"", ".", ".."}:
            raise UnaskableError(f"{endpoint} cannot be asked with such a {name}")
    try:
        return endpoint.format_map({name: quote(value, safe="") for name, value in ids.items()})
    except UnicodeEncodeError:
        raise UnaskableError(f"{endpoint} cannot be asked with an id of no text") from None
