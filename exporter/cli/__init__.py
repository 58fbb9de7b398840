"""The command line: `devin-exporter [serve|check|poll|backfill|demo] [--flag=value …]`."""

from exporter.cli.main import main

__all__ = ["main"]
