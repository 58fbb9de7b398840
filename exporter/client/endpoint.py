"""What an API can be asked: its endpoints, and requests to them, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter

from exporter.errors import UnaskableError

T_co = TypeVar("T_co", covariant=True)
Params = Mapping[str, int | str]


def no_params(_: float) -> Params:
    """The query of an endpoint that needs none."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[T_co]):
    """One path of an API, and all that is known of it.

    Attributes:
        path: template, like `/v3/enterprise/consumption/daily/users/{user_id}`.
        response: the type of its response.
        feeds: what is published of it, for people.
        permission: what opens it, for people; empty if every key does or if it is not known.
        keys: the kinds of keys that it is for; empty for all of them.
        optional: why it is no fault that a key or a deployment lacks it, for people; empty if it
            is one.
        check_params: a query that is good at a moment (Unix seconds), for a check.
    """

    path: str
    response: TypeAdapter[T_co]
    feeds: str
    permission: str = ""
    keys: frozenset[str] = frozenset()
    optional: str = ""
    check_params: Callable[[float], Params] = no_params

    def is_for(self, kind: str) -> bool:
        """Whether it is for keys of this kind."""
        return not self.keys or kind in self.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T_co]):
    """One `GET` of an endpoint, its path filled with `ids`."""

    endpoint: Endpoint[T_co]
    ids: Mapping[str, str] = field(default_factory=dict)
    params: Params = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path. Raises `UnaskableError` if no path can carry one of the ids."""
        return expand_path(self.endpoint.path, self.ids)

    @property
    def key(self) -> str:
        """What the response depends on: path and query. Raises `UnaskableError`."""
        return f"{self.path}?{urlencode(sorted(self.params.items()))}"


def expand_path(template: str, ids: Mapping[str, str]) -> str:
    """Put ids into a path template, with every byte outside RFC 3986's unreserved encoded.

    Raises:
        UnaskableError: if no path can carry one of them.
    """
    for name, value in ids.items():
        # Dots alone would be resolved away, and another endpoint asked.
        if f"{{{name}}}" in template and value in {"", ".", ".."}:
            raise UnaskableError(f"{template} cannot be asked with such a {name}")
    try:
        return template.format_map({name: quote(value, safe="") for name, value in ids.items()})
    except UnicodeEncodeError:
        raise UnaskableError(f"{template} cannot be asked with an id of no text") from None
