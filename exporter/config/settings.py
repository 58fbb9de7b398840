"""One declaration per setting: environment variable, flag, default, meaning and check.

Each part of the product declares a `Section`. `load` reads all sections from the environment and
the command line, and reports all their errors at once.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from exporter.config.kubernetes import describes_a_service
from exporter.config.logs import Format, Level

S = TypeVar("S", bound="Section")

_NOT_OURS = {"WEB_CONCURRENCY"}
"""Sets the number of processes of other servers; this one has one process."""
_ALIKE = 0.75
_LARGEST_PORT = 65_535


class SettingsError(Exception):
    """Some settings are invalid; one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class Section(BaseSettings):
    """The settings of one part; their variables share the prefix `env_prefix`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment. Kubernetes' descriptions of Services are ignored."""
        del settings_cls, dotenv_settings, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {
                name: value
                for name, value in env_settings.env_vars.items()
                if not describes_a_service(name, value or "")
            }
        return init_settings, env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _words_in_any_case(cls, value: object, info: ValidationInfo[None]) -> object:
        words = get_args(cls.model_fields[str(info.field_name)].annotation)
        word = value.strip().lower() if isinstance(value, str) else value
        return word if word in words else value


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in the form that users see."""

    section: type[Section]
    field: str
    info: FieldInfo

    @property
    def variable(self) -> str:
        """The environment variable, like `DEVIN_ACU_PRICE`."""
        return f"{self.section.model_config.get('env_prefix', '')}{self.field}".upper()

    @property
    def flag(self) -> str | None:
        """The flag, like `--devin.acu-price`; None for a secret, as process lists show flags."""
        if SecretStr in (self.info.annotation, *get_args(self.info.annotation)):
            return None
        group, _, name = self.variable.lower().partition("_")
        return f"--{group}.{name.replace('_', '-')}"

    @property
    def default(self) -> str:
        """The default as text; empty if there is none."""
        value: object = self.info.get_default(call_default_factory=False)
        return "" if value is None or value is PydanticUndefined else str(value)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all sections."""

    sections: Mapping[type[Section], Section]

    def __getitem__(self, kind: type[S]) -> S:
        """The section of this kind."""
        section = self.sections[kind]
        if not isinstance(section, kind):
            raise TypeError(f"{kind.__name__} holds {section!r}")
        return section

    def only(self, kinds: Sequence[type[Section]]) -> "Settings":
        """Only the sections of these kinds."""
        return Settings(MappingProxyType({kind: self.sections[kind] for kind in kinds}))


def settings_of(kinds: Sequence[type[Section]]) -> Iterator[Setting]:
    """Every setting of these sections, in the order of declaration."""
    for kind in kinds:
        for name, info in kind.model_fields.items():
            yield Setting(kind, name, info)


def load(
    kinds: Sequence[type[Section]], overrides: Mapping[type[Section], Mapping[str, str | None]]
) -> Settings:
    """Read all sections from the environment; `overrides` (fields by section) win.

    Raises:
        SettingsError: naming every invalid setting and the values that it takes. Its value is not
            named, as it might be a secret in the wrong place.
    """
    sections: dict[type[Section], Section] = {}
    lines: list[str] = []
    for kind in kinds:
        try:
            sections[kind] = kind.model_validate(dict(overrides.get(kind, {})))
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False, include_input=False):
                message = error["msg"].removeprefix("Value error, ")
                if error["loc"]:
                    setting = Setting(kind, str(error["loc"][0]), FieldInfo())
                    message = f"{setting.variable}: {message}"
                lines.append(message)
    if lines:
        raise SettingsError(lines)
    return Settings(MappingProxyType(sections))


def misspelt(
    kinds: Sequence[type[Section]], variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Variables that look like a misspelt setting, each with the setting that it resembles."""
    known = {setting.variable for setting in settings_of(kinds)}
    prefixes = tuple({variable.partition("_")[0] + "_" for variable in known})
    for variable, value in sorted(variables.items()):
        if variable in known | _NOT_OURS or describes_a_service(variable, value):
            continue
        if variable.startswith(prefixes):
            alike = difflib.get_close_matches(variable, sorted(known), n=1, cutoff=_ALIKE)
            if alike:
                yield variable, alike[0]


def _check_addresses(text: str) -> str:
    parse_addresses(text)
    return text


def parse_addresses(text: str) -> list[tuple[str, int]]:
    """Parse `host:port`, `[v6]:port` or `:port`, several separated by commas.

    Raises:
        ValueError: naming the accepted forms.
    """
    addresses: list[tuple[str, int]] = []
    for part in text.split(","):
        host, colon, port = part.strip().rpartition(":")
        bare_v6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
        if not colon or bare_v6 or not port.isdecimal() or int(port) > _LARGEST_PORT:
            raise ValueError(
                "wants host:port, [v6]:port or :port with a port up to 65535, "
                "several separated by commas"
            )
        addresses.append((host.strip("[]"), int(port)))
    return addresses


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, for which requests need no TLS and no proxy."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_path(path: str) -> str:
    reserved = {"/", "/api/v1/status", "/-/healthy", "/-/ready"}
    if not path.startswith("/") or path in reserved or not set("?#{}% ").isdisjoint(path):
        raise ValueError("wants a path like /metrics, other than /, /-/healthy and /-/ready")
    return path


class WebSettings(Section):
    """Addresses and path that the exporter serves."""

    model_config = SettingsConfigDict(env_prefix="web_")

    listen_address: Annotated[str, AfterValidator(_check_addresses)] = Field(
        default=":9877",
        description="`host:port`, `[v6]:port` or `:port`, several separated by commas",
    )
    telemetry_path: Annotated[str, AfterValidator(_check_path)] = Field(
        default="/metrics", description="path of the metrics"
    )
    config_file: Path | None = Field(
        default=None,
        description="file with certificate, users, headers and rate limit, "
        "[in the exporter-toolkit's format](../operate/web.md), read again when it changes",
    )
    systemd_socket: bool = Field(
        default=False,
        description="whether to listen on the sockets that systemd opened, "
        "not on `WEB_LISTEN_ADDRESS`",
    )


def _spelt_out(level: object) -> object:
    is_short = isinstance(level, str) and level.strip().lower() == "warn"
    return "warning" if is_short else level


class StateSettings(Section):
    """Where data is kept across restarts."""

    model_config = SettingsConfigDict(env_prefix="state_")

    dir: Path | None = Field(
        default=None,
        description="directory in which the last good data is kept across restarts, in one SQLite "
        "file for its owner alone; it holds ids of users, and names if they are published",
    )


class LogSettings(Section):
    """Level and format of the log."""

    model_config = SettingsConfigDict(env_prefix="log_")

    level: Annotated[Level, BeforeValidator(_spelt_out)] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`"
    )
    format: Format = Field(default="logfmt", description="`logfmt` or `json`")


CORE_SECTIONS: tuple[type[Section], ...] = (WebSettings, StateSettings, LogSettings)
