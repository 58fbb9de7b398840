"""The web configuration's file, read again when it or a file that it names changes."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.config.files import Stamp, stamp_of
from exporter.exposition.instruments import Gauge
from exporter.metrics import Metric
from exporter.web.config.document import WebConfigError, read_document
from exporter.web.config.loaded import WebConfig, loaded, named_files

logger = logging.getLogger(__name__)

RELOADED = Metric(
    "devin_exporter_web_config_last_reload_successful",
    "1 if the web configuration is in use as it is now; 0 if it is broken and an older one is in "
    "use. Absent without WEB_CONFIG_FILE.",
)
RELOADED_AT = Metric(
    "devin_exporter_web_config_last_reload_success_timestamp_seconds",
    "When the web configuration in use was read, in Unix seconds.",
)
METRICS = (RELOADED, RELOADED_AT)

LOOK_SECONDS = 1.0


class WebConfigFile:
    """The web configuration in use. A new one that is broken leaves the one before in use.

    Args:
        path: of the file.
        clock: Unix seconds.

    Raises:
        WebConfigError: if the file cannot be used.
    """

    def __init__(
        self, path: Path, *, registry: CollectorRegistry, clock: Callable[[], float]
    ) -> None:
        self._path = path.absolute()
        self._clock = clock
        self._stamps: Mapping[Path, Stamp] = {}
        self._seen: Mapping[Path, Stamp] = {}
        self._reading = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="web-config", daemon=True)
        self._successful = Gauge(RELOADED.name, RELOADED.help, registry=registry).labels()
        self._successful_at = Gauge(RELOADED_AT.name, RELOADED_AT.help, registry=registry).labels()
        try:
            self._current = self._read()
        except WebConfigError as broken:
            raise broken.in_file(path) from None
        self._in_use()

    @property
    def current(self) -> WebConfig:
        """The configuration in use; replaced whole."""
        return self._current

    def start(self) -> None:
        """Begin to watch the files."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def reload(self) -> None:
        """Read all files again. If they cannot be used, log it and keep what is in use."""
        with self._reading:
            try:
                self._current = self._read()
            except WebConfigError as broken:
                self._successful.set(0)
                logger.error(  # noqa: TRY400 - the lines say it all
                    "%s cannot be used; the configuration before it stays: %s", self._path, broken
                )
                return
            self._in_use()
        logger.info("%s is in use", self._path)

    def reload_if_changed(self) -> None:
        """Read all files again if one has changed since, and all are as they were at the last look.

        What is still being written is left alone: half of a file may be valid, without its users.
        """
        before, self._seen = self._seen, _stamps(self._stamps)
        if self._seen != self._stamps and self._seen == before:
            self.reload()

    def _in_use(self) -> None:
        self._successful.set(1)
        self._successful_at.set(self._clock())
        for note in self._current.notes:
            logger.warning("%s: %s", self._path, note)

    def _read(self) -> WebConfig:
        # Stamped before it is read: what changes meanwhile is read again.
        self._stamps = _stamps([self._path])
        document = read_document(self._path)
        files = named_files(document, self._path.parent)
        self._stamps = {**self._stamps, **_stamps(files)}
        return loaded(document, self._path.parent)

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                self.reload_if_changed()
            except Exception:
                logger.exception("cannot look at the web configuration")


def _stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    return {path: stamp_of(path) for path in paths}
