"""A program in Grafana's place, as Grafana cannot be had everywhere: it records what it is given.

No test here can tell that Grafana itself makes of this what is meant: only that each setting is one
that its documentation names, and that the files are where and what it says.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.e2e.demonstration import executable

GRAFANA = """#!{python}
import http.server, json, os, pathlib, shutil, subprocess, sys

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path.startswith("/api/health") else 404)
        self.end_headers()
    def log_message(self, *_):
        pass

subprocess.Popen(["sleep", "600"])  # as a plugin would be
settings = {{k: v for k, v in os.environ.items() if k.startswith("GF_")}}
record = pathlib.Path({record!r})
shutil.copytree(settings["GF_PATHS_PROVISIONING"], record / "provisioning")
said = {{"arguments": sys.argv[1:], "settings": settings}}
(record / "said.json").write_text(json.dumps(said))
address = settings["GF_SERVER_HTTP_ADDR"], int(settings["GF_SERVER_HTTP_PORT"])
http.server.HTTPServer(address, Health).serve_forever()
"""
SETTINGS_OF_GRAFANA = {
    "paths": ["data", "logs", "plugins", "provisioning"],
    "server": ["http_addr", "http_port"],
    "security": ["admin_password"],
    "auth.anonymous": ["enabled", "org_role"],
    "users": ["allow_sign_up"],
    "analytics": ["reporting_enabled", "check_for_updates", "check_for_plugin_updates"],
    "plugins": ["preinstall_disabled"],
    "news": ["news_feed_enabled"],
    "dashboards": ["default_home_dashboard_path"],
}
"""As its configuration's documentation names them, by section."""


def install(program: Path, record: Path) -> Path:
    """Make it executable; gives the folder with what it will have recorded."""
    record.mkdir()
    executable(program, GRAFANA.format(python=sys.executable, record=str(record)))
    return record


def arguments(record: Path) -> list[str]:
    """What it was started with."""
    words: list[str] = json.loads((record / "said.json").read_text())["arguments"]
    return words


def assert_it_shows(links: Mapping[str, str], record: Path) -> None:
    """Whether Grafana would show the demo's Prometheus in the shipped dashboards."""
    documented = {
        f"GF_{section}_{key}".replace(".", "_").upper(): (section, key)
        for section, keys in SETTINGS_OF_GRAFANA.items()
        for key in keys
    }
    settings = json.loads((record / "said.json").read_text())["settings"]
    assert settings.keys() == documented.keys()
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert links["Overview"] == (
        f"http://localhost:{settings['GF_SERVER_HTTP_PORT']}/d/devin-overview"
    )
    home = Path(settings["GF_PATHS_DATA"]).parent
    assert f"--config={home / 'grafana.ini'}" in arguments(record)
    provisioning = record / "provisioning"
    assert {path.name for path in provisioning.iterdir()} == {
        "alerting", "dashboards", "datasources", "plugins",
    }  # fmt: skip
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert links["ACUs by day"].startswith(source["url"])
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "devin.yml").read_text())[
        "providers"
    ]
    dashboards = Path(provider["options"]["path"]).glob("*.json")
    assert "devin-overview" in {json.loads(path.read_text())["uid"] for path in dashboards}
