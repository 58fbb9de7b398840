"""The endpoints of an API, and requests to them, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter

from exporter.client.rate_limit import Priority
from exporter.errors import UnaskableError

T_co = TypeVar("T_co", covariant=True)
Params = Mapping[str, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[T_co]):
    """One endpoint of an API: how it is requested and read.

    Attributes:
        path: template, like `/v3/enterprise/consumption/daily/users/{user_id}`.
        response: the type of its response.
        feeds: the data that it provides, in words for people.
        permission: the permission that it needs, in words for people; empty if none is needed or
            known.
        keys: the kinds of keys that can use it; empty for all.
        optional: why it is no failure if a key or a deployment lacks it, in words for people;
            empty if it is a failure.
        check_params: the query that `check` sends at a moment (Unix seconds).
    """

    path: str
    response: TypeAdapter[T_co]
    feeds: str
    permission: str = ""
    keys: frozenset[str] = frozenset()
    optional: str = ""
    check_params: Callable[[float], Params] = lambda _: {}

    def is_for(self, kind: str) -> bool:
        """Whether keys of this kind can use it."""
        return not self.keys or kind in self.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T_co]):
    """One `GET` request to an endpoint; `ids` are the parameters of its path.

    Attributes:
        priority: whether it is sent before others that wait too.
    """

    endpoint: Endpoint[T_co]
    ids: Mapping[str, str] = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    priority: Priority = Priority.LISTS

    @property
    def path(self) -> str:
        """The expanded path. Raises `UnaskableError` if a path cannot carry one of the ids."""
        return expand_path(self.endpoint.path, self.ids)

    @property
    def key(self) -> str:
        """Path and query, which identify the request. Raises `UnaskableError`."""
        return f"{self.path}?{urlencode(sorted(self.params.items()))}"


def expand_path(template: str, ids: Mapping[str, str]) -> str:
    """Expand a path template; every byte outside RFC 3986's unreserved set is encoded.

    Raises:
        UnaskableError: if a path cannot carry one of the ids.
    """
    for name, value in ids.items():
        # `.` and `..` would be resolved, and another endpoint requested.
        if f"{{{name}}}" in template and value in {"", ".", ".."}:
            raise UnaskableError(f"{template} cannot be asked with such a {name}")
    try:
        return template.format_map({name: quote(value, safe="") for name, value in ids.items()})
    except UnicodeEncodeError:
        raise UnaskableError(f"{template} cannot be asked with an id of no text") from None
