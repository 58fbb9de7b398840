"""Grafana with the shipped dashboards, where it is installed, with nothing of its own settings."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.demo.processes import Processes, say
from deploy.demo.prometheus import ROOT
from deploy.demo.servers import start_server
from deploy.demo.web import HOST, is_fine

SHIPPED = ROOT / "grafana"
OVERVIEW = SHIPPED / "dashboards" / "devin-overview.json"
COMMANDS = {"grafana": ["server"], "grafana-server": []}
"""The programs that start it, the newer first, with the words that they want."""
PORT = 3000
STARTS_WITHIN_SECONDS = 300
SHIPPED_URL = "http://prometheus:9090"
SHIPPED_DASHBOARDS = "/var/lib/grafana/dashboards/devin"


def find() -> list[str] | None:
    """The command that starts Grafana, if there is one."""
    for name, words in COMMANDS.items():
        if path := shutil.which(name):
            return [path, *words]
    return None


def serve(processes: Processes, folder: Path, command: list[str], prometheus: str) -> str:
    """Start it on a data directory of its own; gives the address of Overview.

    Raises:
        FailedError: if it does not come up.
    """
    home = folder / "grafana"
    _provision(home / "provisioning", prometheus)
    configuration = home / "grafana.ini"
    configuration.write_text("# The settings are in the environment.\n", encoding="utf-8")
    words = [*command, f"--config={configuration}", *_home_path(Path(command[0]))]
    say("Grafana: starting")
    server, port = start_server(
        processes,
        lambda port: processes.start(words, _settings(home, port), name="Grafana"),
        lambda _, port: is_fine(f"http://{HOST}:{port}/api/health"),
        wanted=PORT,
        name="Grafana",
        seconds=STARTS_WITHIN_SECONDS,
    )
    server.watched = True
    uid = json.loads(OVERVIEW.read_text(encoding="utf-8"))["uid"]
    return f"http://localhost:{port}/d/{uid}"


def _provision(folder: Path, prometheus: str) -> None:
    """The shipped files, with the demo's Prometheus and the repository's dashboards."""
    shutil.copytree(SHIPPED / "provisioning", folder)
    for kind in ("plugins", "alerting"):
        (folder / kind).mkdir(exist_ok=True)
    dashboards = json.dumps(str(SHIPPED / "dashboards"))  # quoted, as YAML has it too
    replaced = {SHIPPED_URL: prometheus, SHIPPED_DASHBOARDS: dashboards}
    for path in folder.glob("*/*.yml"):
        text = path.read_text(encoding="utf-8")
        for shipped, of_demo in replaced.items():
            text = text.replace(shipped, of_demo)
        path.write_text(text, encoding="utf-8")


def _home_path(program: Path) -> list[str]:
    """Where its defaults and pages are, unless it knows that itself."""
    prefix = program.resolve().parent.parent
    for home in (prefix, prefix / "share" / "grafana", Path("/usr/share/grafana")):
        if (home / "conf" / "defaults.ini").is_file():
            return [f"--homepath={home}"]
    return []


def _settings(home: Path, port: int) -> Mapping[str, str]:
    """Everything that it would else read or write elsewhere, and nobody can log in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GF_")}
    return kept | {
        "GF_PATHS_DATA": str(home / "data"),
        "GF_PATHS_LOGS": str(home / "logs"),
        "GF_PATHS_PLUGINS": str(home / "plugins"),
        "GF_PATHS_PROVISIONING": str(home / "provisioning"),
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_SECURITY_ADMIN_PASSWORD": secrets.token_hex(),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(OVERVIEW),
    }
