"""The sources: a vendor is one folder here and one line in `SOURCES`."""

from exporter.sources import aione, devin, devin_v2

SOURCES = (
    devin.SOURCE,
    devin_v2.SOURCE,
    aione.SOURCE,
)
