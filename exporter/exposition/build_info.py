"""The version of the running exporter, as a metric."""

import platform
from pathlib import Path

from exporter import __version__
from exporter.metrics import Metric, Sample

BUILD_INFO = Metric(
    "devin_exporter_build_info",
    "What is running; 1.",
    ("version", "revision", "python_version"),
)


def build_info() -> Sample:
    """The build as a sample; the revision is in a file that the build writes."""
    try:
        revision = (Path(__file__).parents[1] / "REVISION").read_text(encoding="ascii").strip()
    except OSError:
        revision = "unknown"
    return BUILD_INFO(
        1, version=__version__, revision=revision, python_version=platform.python_version()
    )
