"""Parses the command line: the command, its options and the settings given as flags."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from exporter import __version__
from exporter.cli.catalogue import ALL_SECTIONS
from exporter.cli.exit_codes import BAD_USAGE
from exporter.cli.history import backfill_options, export_options
from exporter.cli.history.backfill_options import PLACEHOLDER
from exporter.cli.printing import echo, print_result
from exporter.config.settings import Section, Setting, settings_of
from exporter.demo.settings import DemoSettings
from exporter.sources.source import Fields

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

COMMANDS = {
    "serve": "poll and serve until SIGTERM or SIGINT (the default)",
    "check": "request each endpoint once and report what the key lacks; exit 0 if nothing",
    "poll": "poll TASK once, after those whose data it uses, and print its samples",
    "backfill": "write the history of the last --days to --output, for Prometheus to take in",
    "export": "write the cost of the days --from to --to as FOCUS rows to --output, for finance",
    "check-web-config": "read the web configuration FILE and the files that it names",
    "healthcheck": "exit 0 if the exporter of this container, or of process PID, works",
    "demo": "the same against a simulated API on loopback; needs no key",
}

FLAGS_OF = {
    "backfill": tuple(backfill_options.FLAGS),
    "export": (*export_options.FLAGS, "output"),
}
"""The flags that only some commands take."""


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, without any value, which might be a secret."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"devin-exporter: {message}\n")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        # The overridden method hides that help or version could not be printed.
        if file is sys.stderr:
            echo(message.rstrip("\n"))
        else:
            print_result(message.splitlines())


def parser() -> argparse.ArgumentParser:
    """The parser, with a flag for every setting that is no secret."""
    commands = "\n".join(f"  {name:<18}{does}" for name, does in COMMANDS.items())
    secrets = ", ".join(s.variable for s in settings_of(ALL_SECTIONS) if s.flag is None)
    built = _Parser(
        prog="devin-exporter",
        description="Prometheus exporter for the usage and cost of AI engineers.\n\n"
        f"commands:\n{commands}",
        epilog="Every flag is also an environment variable, which is named with it. "
        f"Secrets have a variable and no flag: {secrets}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    built.add_argument("command", nargs="?", default="serve", help=argparse.SUPPRESS)
    built.add_argument("operand", nargs="?", help=argparse.SUPPRESS)
    backfill_options.add_arguments(built)
    export_options.add_arguments(built)
    built.add_argument("--version", action="version", version=f"devin-exporter {__version__}")
    for setting in settings_of(ALL_SECTIONS):
        if setting.flag is not None:
            built.add_argument(
                setting.flag,
                dest=setting.variable,
                metavar=PLACEHOLDER,
                help=_help(setting).replace("%", "%%"),
            )
    return built


def _help(setting: Setting) -> str:
    default = f" (default: {setting.default})" if setting.default else ""
    description = (setting.info.description or "").replace("`", "").replace("…", "...")
    return f"{description}{default} [{setting.variable}]"


def read_command_line(arguments: Sequence[str]) -> tuple[str, Fields, argparse.Namespace]:
    """Parse the command line into the command, the settings given as flags, and all arguments.

    Raises:
        PrintError: if the text of --help or --version cannot be printed.
        SystemExit: after --help and --version, and with status 2 for invalid arguments.
    """
    built = parser()
    known, unknown = built.parse_known_args(arguments)
    if unknown:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        built.error(f"no such flag: {flags[0]}" if flags else "more than one command")
    if known.command not in COMMANDS:
        built.error(f"no such command; there are: {', '.join(COMMANDS)}")
    if complaint := _wrong_operand(known.command, known.operand):
        built.error(complaint)
    if complaint := _flag_of_another(known):
        built.error(complaint)
    overrides: dict[type[Section], dict[str, str | None]] = {}
    for setting in settings_of(ALL_SECTIONS):
        value = getattr(known, setting.variable, None)
        if value is not None:
            if setting.section is DemoSettings and known.command != "demo":
                built.error(f"{setting.flag} is a flag of demo")
            overrides.setdefault(setting.section, {})[setting.field] = value
    return known.command, overrides, known


def _flag_of_another(known: argparse.Namespace) -> str | None:
    """What is wrong with the flags of commands; None if nothing is."""
    own = FLAGS_OF.get(known.command, ())
    for command, flags in FLAGS_OF.items():
        for flag in flags:
            given = getattr(known, flag.replace("-", "_")) is not None
            if given and flag not in own:
                return f"--{flag} is a flag of {command}"
    return None


def _wrong_operand(command: str, operand: str | None) -> str | None:
    """What is wrong with the word after a command; None if nothing is."""
    if command == "check-web-config":
        return None if operand else "check-web-config wants a file"
    if command == "poll":
        return None if operand else "poll wants the name of a task"
    if command == "healthcheck":
        number = operand is None or operand.isdecimal()
        return None if number else "healthcheck wants the number of a process, or nothing"
    return "more than one command" if operand is not None else None
