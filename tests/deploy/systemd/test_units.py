"""The systemd units: hardened, valid, and with settings that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.manifests.schema import SET_BY_THE_CHART, keys
from exporter.cli.catalogue import ROOT, SECTIONS
from exporter.config.settings import WebSettings, settings_of

FOLDER = ROOT / "deploy" / "systemd"
SERVICE, SOCKET = (FOLDER / f"devin-exporter.{kind}" for kind in ("service", "socket"))
MOST_EXPOSED = 2.0
OFFLINE_SINCE = 250


def analyze(*words: str | Path) -> str:
    """What systemd-analyze prints; a test without it is skipped."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    (number,) = re.findall(r"^systemd (\d+)", version.stdout)
    if int(number) < OFFLINE_SINCE:
        pytest.skip(f"systemd {number} cannot judge a unit that is not installed")
    asked = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return asked.stdout + asked.stderr


def values(path: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_service_is_hardened() -> None:
    told = analyze("security", "--offline=yes", "--no-pager", SERVICE)
    (exposure,) = re.findall(r"Overall exposure level for devin-exporter.service: ([\d.]+)", told)
    assert float(exposure) < MOST_EXPOSED


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    for path in (SERVICE, SOCKET):
        text = path.read_text(encoding="utf-8")
        text = text.replace("/opt/devin-exporter/venv/bin/devin-exporter", "/bin/true")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    units = sorted(tmp_path.iterdir())
    told = analyze("verify", "--man=no", "--recursive-errors=no", *units)
    assert [line for line in told.splitlines() if "devin-exporter" in line] == []


def test_a_line_that_systemd_does_not_know_is_noticed(tmp_path: Path) -> None:
    unit = tmp_path / "devin-exporter.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectEverything=yes\n", encoding="utf-8")
    assert "ProtectEverything" in analyze("verify", "--man=no", "--recursive-errors=no", unit)


def test_the_variables_of_the_service_are_settings_and_lead_where_systemd_puts_things() -> None:
    known = {each.variable for each in settings_of(SECTIONS)} | SET_BY_THE_CHART
    variables = dict(each.split("=", 1) for each in values(SERVICE, "Environment"))
    assert variables.keys() <= known
    for name, path in variables.items():
        if name.removesuffix("_FILE") in keys():
            (credential,) = values(SERVICE, "LoadCredential")
            assert path == f"%d/{credential.partition(':')[0]}"
    (state,) = values(SERVICE, "StateDirectory")
    assert variables["STATE_DIR"] == f"%S/{state}"


def test_the_socket_is_where_the_exporter_would_listen() -> None:
    (address,) = values(SOCKET, "ListenStream")
    assert address.endswith(WebSettings().listen_address)
    (named,) = re.findall(r"[A-Z_]+=true", SOCKET.read_text(encoding="utf-8"))
    assert named.partition("=")[0] in SET_BY_THE_CHART
