"""Prints the configuration of nfpm: `python -m deploy.packages TREE > nfpm.json`.

TREE has what is installed, as `make packages` puts it there. Compiled libraries are for one version
of Python, so that a package depends on the one that it was built with.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence

from exporter import __version__

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
UNITS = ("devin-exporter.service", "devin-exporter.socket")
LIBRARIES = "/usr/lib/devin-exporter"


def launcher() -> str:
    """The command that is installed."""
    python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    return f'#!/bin/sh\nPYTHONPATH={LIBRARIES} exec {python} -P -m exporter "$@"\n'


def configuration(tree: str) -> Mapping[str, object]:
    """What nfpm reads."""
    this, following = (f"3.{sys.version_info.minor + more}" for more in (0, 1))
    files = [
        {"src": f"{tree}/lib", "dst": LIBRARIES, "type": "tree"},
        {"src": f"{tree}/devin-exporter", "dst": "/usr/bin/devin-exporter",
         "file_info": {"mode": 0o755}},
        *({"src": f"{tree}/{unit}", "dst": f"/usr/lib/systemd/system/{unit}"} for unit in UNITS),
        {"src": f"{tree}/settings", "dst": "/etc/devin-exporter/settings",
         "type": "config|noreplace", "file_info": {"mode": 0o640}},
        {"src": "LICENSE", "dst": "/usr/share/doc/devin-exporter/copyright"},
    ]  # fmt: skip
    return {
        "name": "devin-exporter",
        "arch": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "platform": "linux",
        "version": __version__,
        "section": "net",
        "priority": "optional",
        "maintainer": "The devin-exporter authors <noreply@example.com>",
        "description": "Prometheus exporter for the usage and cost of AI engineers",
        "license": "Apache-2.0",
        "contents": files,
        "scripts": {
            "postinstall": "deploy/packages/after-install.sh",
            "preremove": "deploy/packages/before-remove.sh",
        },
        "overrides": {
            "deb": {"depends": [f"python3 (>= {this})", f"python3 (<< {following})"]},
            "rpm": {"depends": [f"python{this}"]},
        },
    }


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Print it, or the launcher for `--launcher`. JSON is YAML too."""
    (word,) = arguments
    is_launcher = word == "--launcher"
    sys.stdout.write(
        launcher() if is_launcher else json.dumps(configuration(word), indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
