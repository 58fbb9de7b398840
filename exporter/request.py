"""A request as a value: what is asked for, and the shape of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter

from exporter.http import Client, Params
from exporter.paths import fill

T = TypeVar("T")


class Fetch(Protocol):
    """A request, whatever the shape of its answer."""

    @property
    def endpoint(self) -> str:
        """Its path template."""
        ...

    @property
    def key(self) -> str:
        """What the answer depends on: path and query."""
        ...

    def fetch(self, client: Client) -> bytes:
        """Ask, and give the fields read as JSON. Raises `PollError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One `GET` of the path template `endpoint`, filled with `ids`."""

    endpoint: str
    shape: TypeAdapter[T]
    ids: Mapping[str, str] = field(default_factory=dict)
    params: Params = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the answer depends on: path and query."""
        return f"{fill(self.endpoint, self.ids)}?{urlencode(sorted(self.params.items()))}"

    def ask(self, client: Client) -> T:
        """Ask. Raises `PollError`."""
        return client.get(self.endpoint, self.shape, ids=self.ids, params=self.params)

    def fetch(self, client: Client) -> bytes:
        """Ask, and give the fields read as JSON. Raises `PollError`."""
        return self.shape.dump_json(self.ask(client))
