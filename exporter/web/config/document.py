"""The web configuration as it is written: its keys, their types and their checks."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from exporter.config.files import read_regular
from exporter.web.config.names import (
    CIPHER_SUITES,
    CLIENT_AUTH_TYPES,
    CURVES,
    HEADERS,
    TLS_1_3_SUITES,
    VERSIONS,
)

T = TypeVar("T")

MOST_BYTES = 2**20
_NOTHING = {"", "~", "null", "Null", "NULL"}
_BCRYPT = re.compile(r"\$2[abxy]?\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_DURATION = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+")
_STEP = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}
_ALIKE = 0.7


class WebConfigError(Exception):
    """The web configuration cannot be used; a line for each fault, without any secret."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines

    def in_file(self, path: Path) -> "WebConfigError":
        """The same with the file's name in each line."""
        return WebConfigError(tuple(f"{path}: {line}" for line in self.lines))


def _nothing_is_absent(value: object) -> object:
    return {} if isinstance(value, str) and value in _NOTHING else value


def _one_of(words: tuple[str, ...], *, what: str) -> AfterValidator:
    def check(word: str) -> str:
        if word and word not in words:
            raise ValueError(f"is no {what}; there are: {', '.join(words)}")
        return word

    return AfterValidator(check)


def _seconds(text: object) -> object:
    if not isinstance(text, str) or text in _NOTHING or text == "0":
        return 0.0 if isinstance(text, str) else text
    if not _DURATION.fullmatch(text):
        raise ValueError("wants a duration like 1s, 500ms or 1m30s, or 0")
    return sum(float(number) * _SECONDS[unit] for number, unit in _STEP.findall(text))


def _check_hash(text: str) -> str:
    if not _BCRYPT.fullmatch(text):
        raise ValueError("wants a bcrypt hash, as `htpasswd -nBC 10 ''` makes it")
    return text


def _check_header_value(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("wants one line of ASCII characters")
    return text


Version = Annotated[str, _one_of(tuple(VERSIONS), what="version of TLS")]
CipherSuite = Annotated[
    str, _one_of((*CIPHER_SUITES, *sorted(TLS_1_3_SUITES)), what="known cipher suite")
]
Curve = Annotated[str, _one_of(tuple(CURVES), what="known curve")]
ClientAuthType = Annotated[str, _one_of(CLIENT_AUTH_TYPES, what="client_auth_type")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TlsServerConfig(_Part):
    """Certificate and key, and what is asked of clients."""

    cert: str = Field(default="", repr=False)
    key: str = Field(default="", repr=False)
    client_ca: str = Field(default="", repr=False)
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: ClientAuthType = ""
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[CipherSuite, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Curve, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether anything is set."""
        return bool(self.model_dump(exclude_defaults=True))

    @model_validator(mode="after")
    def _is_whole(self) -> "TlsServerConfig":
        if not self.enabled:
            return self
        if not (self.cert or self.cert_file):
            raise ValueError("lacks one of cert or cert_file")
        if not (self.key or self.key_file):
            raise ValueError("lacks one of key or key_file")
        asks = self.client_auth_type not in {"", "NoClientCert"}
        if (self.client_ca or self.client_ca_file) and not asks:
            raise ValueError("has authorities for clients, but no client_auth_type that asks them")
        if self.client_allowed_sans is not None and not self.client_allowed_sans:
            raise ValueError("client_allowed_sans is empty, so that nobody would be let in")
        if self.client_allowed_sans and (not asks or self.client_auth_type == "RequestClientCert"):
            raise ValueError(
                "client_allowed_sans wants a client_auth_type such as RequireAndVerifyClientCert"
            )
        if VERSIONS[self.min_version or "TLS12"] > VERSIONS[self.max_version or "TLS13"]:
            raise ValueError("min_version is above max_version")
        return self


class HttpServerConfig(_Part):
    """Headers of responses. HTTP/2 is not supported: whatever is set, HTTP/1.1 is served."""

    http2: bool | None = None
    headers: Annotated[
        Mapping[str, Annotated[str, AfterValidator(_check_header_value)]],
        BeforeValidator(_nothing_is_absent),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_known_headers(self) -> "HttpServerConfig":
        for name, value in self.headers.items():
            if name not in HEADERS:
                raise ValueError(f"headers.{name} cannot be set; there are: {', '.join(HEADERS)}")
            allowed = HEADERS[name]
            if value and allowed and value not in allowed:
                raise ValueError(f"headers.{name} takes: {', '.join(sorted(allowed))}")
        return self


class RateLimit(_Part):
    """A token bucket: a request each `interval` seconds, after `burst` at once; 0 is no limit."""

    interval: Annotated[float, BeforeValidator(_seconds)] = 0.0
    burst: Annotated[int, Field(ge=0)] = 0


class Document(_Part):
    """The whole file."""

    tls_server_config: Annotated[TlsServerConfig, BeforeValidator(_nothing_is_absent)] = Field(
        default_factory=TlsServerConfig
    )
    http_server_config: Annotated[HttpServerConfig, BeforeValidator(_nothing_is_absent)] = Field(
        default_factory=HttpServerConfig
    )
    basic_auth_users: Annotated[
        Mapping[str, Annotated[str, AfterValidator(_check_hash)]],
        BeforeValidator(_nothing_is_absent),
    ] = Field(default_factory=dict, repr=False)
    rate_limit: Annotated[RateLimit, BeforeValidator(_nothing_is_absent)] = Field(
        default_factory=RateLimit
    )


class _Loader(yaml.BaseLoader):
    """Reads every scalar as text, as it is written, and refuses a key that stands twice."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[object, object]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise WebConfigError((f"{twice!r} stands twice in one mapping",))
        made: dict[object, object] = super().construct_mapping(node, deep=deep)
        return made


def read_document(path: Path) -> Document:
    """Read the file.

    Raises:
        WebConfigError: naming each fault by its key.
    """
    try:
        text = read_regular(path, most_bytes=MOST_BYTES)
    except OSError as failure:
        raise WebConfigError((f"cannot be read: {failure.strerror}",)) from None
    except ValueError as failure:
        raise WebConfigError((str(failure),)) from None
    try:
        written = yaml.load(text, _Loader)  # noqa: S506 - a BaseLoader, which makes text only
    except yaml.MarkedYAMLError as failure:
        line = f" in line {failure.problem_mark.line + 1}" if failure.problem_mark else ""
        raise WebConfigError((f"is no YAML: {failure.problem}{line}",)) from None
    except (yaml.YAMLError, RecursionError):
        raise WebConfigError(("is no YAML",)) from None
    written = _nothing_is_absent("" if written is None else written)
    if not isinstance(written, dict):
        raise WebConfigError(("wants to be a mapping, like `tls_server_config: …`",))
    try:
        return Document.model_validate(written)
    except ValidationError as invalid:
        raise WebConfigError(tuple(_lines(invalid))) from None


def _lines(invalid: ValidationError) -> list[str]:
    lines = []
    for error in invalid.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in error["loc"])
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = _unknown(*error["loc"])
        lines.append(f"{place}: {message}")
    return lines


def _unknown(*place: object) -> str:
    parents: dict[object, type[_Part]] = {
        "tls_server_config": TlsServerConfig,
        "http_server_config": HttpServerConfig,
        "rate_limit": RateLimit,
    }
    part = parents.get(place[0], Document) if len(place) > 1 else Document
    alike = difflib.get_close_matches(str(place[-1]), part.model_fields, n=1, cutoff=_ALIKE)
    return "is no key of this file" + (f"; is {alike[0]} meant?" if alike else "")
