"""Sockets that systemd has opened."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.web.activation import activated_sockets
from exporter.web.server import ListenError
from tests.support import loopback
from tests.support.processes import EXPORTER, running

SMALL = {"DEMO_USERS": "3", "DEMO_DAYS": "3"}
HANDED_OVER = """
import os, socket, sys
host = sys.argv[1]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
opened = socket.create_server((host, 0), family=family)
os.dup2(opened.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Starts a program as systemd does: with a listening socket as descriptor 3."""


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "systemd has handed over no socket"),
        ({"LISTEN_FDS": "0"}, "systemd has handed over no socket"),
        ({"LISTEN_FDS": "many", "LISTEN_PID": "1"}, "systemd has handed over no socket"),
        ({"LISTEN_FDS": "1"}, "for another process"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, "for another process"),
    ],
)
def test_a_socket_that_is_not_there_or_not_for_us_is_an_error(
    environment: Mapping[str, str], message: str
) -> None:
    with pytest.raises(ListenError, match=message):
        activated_sockets(dict(environment))


def test_a_descriptor_that_is_no_listening_socket_is_an_error() -> None:
    script = (
        "import os\nfrom exporter.web.activation import activated_sockets\n"
        "os.dup2(os.open('/dev/null', os.O_RDONLY), 3)\n"
        "activated_sockets({'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid())})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "ListenError: systemd's descriptor 3" in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_exporter_serves_on_the_socket_of_systemd(tmp_path: Path, host: str) -> None:
    starts = [sys.executable, "-c", HANDED_OVER, host, EXPORTER]
    settings = {"WEB_SYSTEMD_SOCKET": "true", "WEB_LISTEN_ADDRESS": "127.0.0.1:1"}
    with running(tmp_path, "demo", command=starts, **settings, **SMALL) as demo:
        where = f"[{host}]" if ":" in host else host
        url = demo.url.replace("localhost", where)
        assert loopback.get(f"{url}/-/healthy").status_code == 200
        assert demo.end() == 0


def test_without_a_socket_of_systemd_the_start_fails_with_a_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [EXPORTER, "demo", "--web.systemd-socket=true"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "systemd has handed over no socket" in ended.stderr
