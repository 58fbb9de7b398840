"""Content negotiation by `Accept` and `Accept-Encoding`, as in RFC 9110.

A client that accepts none of the formats gets the default one, which is more useful than an error.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from urllib.request import parse_http_list

MOST_RANGES = 64
_PARAMETER = re.compile(r';\s*([^\s;=]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]*)')
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_GZIP = frozenset({"gzip", "x-gzip"})


@dataclass(frozen=True, slots=True)
class Form:
    """A format of the metrics page.

    Attributes:
        version: the version in the content type; a request for another one does not match.
        openmetrics: whether it ends in `# EOF` and names counters as OpenMetrics does.
    """

    media_type: str
    version: str
    openmetrics: bool

    @property
    def content_type(self) -> str:
        """The value of the response's `Content-Type` header."""
        return f"{self.media_type}; version={self.version}; charset=utf-8"


TEXT = Form("text/plain", "0.0.4", openmetrics=False)
FORMS = (
    TEXT,
    Form("application/openmetrics-text", "1.0.0", openmetrics=True),
    # The exporter writes the same for both versions.
    Form("application/openmetrics-text", "0.0.1", openmetrics=True),
)


@dataclass(frozen=True, slots=True)
class _Range:
    """One alternative of a header."""

    name: str
    parameters: MappingProxyType[str, str]
    quality: float

    def specificity(self, form: Form) -> int:
        """How precisely it matches this form; 0 if it does not."""
        if self.name in {"*/*", "*"}:
            return 1
        if self.name == form.media_type.partition("/")[0] + "/*":
            return 2
        if self.name != form.media_type:
            return 0
        version = self.parameters.get("version")
        if version is None:
            return 3
        return 4 if version == form.version else 0


def form_for(accept: Sequence[str]) -> Form:
    """The form that a client prefers.

    Among equal weights, the one named most precisely wins, then the one named first.

    Args:
        accept: the values of all `Accept` headers.
    """
    ranges = list(_ranges(accept))

    def rank(form: Form) -> tuple[float, int, int]:
        meant = ((each.specificity(form), -place) for place, each in enumerate(ranges))
        specificity, earliness = max(meant, default=(0, 0))
        quality = ranges[-earliness].quality if specificity else 0.0
        return quality, specificity, earliness

    best = max(FORMS, key=rank)
    return best if rank(best)[0] > 0 else TEXT


def accepts_gzip(accept_encoding: Sequence[str]) -> bool:
    """Whether a client prefers gzip to the uncompressed page.

    Args:
        accept_encoding: the values of all `Accept-Encoding` headers.
    """
    qualities = {each.name: each.quality for each in _ranges(accept_encoding)}
    anything = qualities.get("*")
    named = [quality for name, quality in qualities.items() if name in _GZIP]
    gzip = max(named) if named else anything or 0.0
    # `identity` is acceptable without being named, but then the client does not prefer it.
    identity = qualities.get("identity", 0.0 if anything is None else anything)
    return gzip > identity or (gzip == identity > 0 and bool(named))


def _ranges(headers: Sequence[str]) -> Iterator[_Range]:
    for part in islice(parse_http_list(", ".join(headers)), MOST_RANGES):
        name, _, rest = part.partition(";")
        parameters = {
            key.lower(): value.strip('"').lower() for key, value in _PARAMETER.findall(f";{rest}")
        }
        quality = parameters.pop("q", "1")
        if name.strip():
            yield _Range(
                name.strip().lower(),
                MappingProxyType(parameters),
                # An invalid weight counts as none.
                float(quality) if _QUALITY.fullmatch(quality) else 1.0,
            )
