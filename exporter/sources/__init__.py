"""The sources: a vendor is one folder here and one line in `SOURCES`."""

from exporter.sources import devin

SOURCES = (devin.SOURCE,)
