"""`python -m exporter` is `devin-exporter`."""

from exporter.cli import main

main()
