"""The image's health check, asked of processes as they may run in a container."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.exporter.commands import finished
from tests.exporter.web.config.folder import Folder, hash_of
from tests.support.processes import EXPORTER, running
from tests.support.prometheus import ROOT, free_address

SCRIPT = ROOT / "exporter" / "cli" / "healthcheck.py"
SMALL = {"DEMO_ORGANIZATIONS": "1", "DEMO_USERS": "3", "DEMO_DAYS": "40"}
HUNG_SECONDS = 120
ELSEWHERE = {"WEB_LISTEN_ADDRESS": ":2", "http_proxy": "http://127.0.0.1:3"}
"""The check's own environment, which says nothing of where the exporter listens."""


def checked(process: int) -> tuple[int, str]:
    """What the health check says of a process: its exit status and its reasons."""
    ended = subprocess.run(
        [sys.executable, SCRIPT, str(process)],
        env=os.environ | ELSEWHERE,
        capture_output=True,
        text=True,
        timeout=HUNG_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stderr


ADDRESSES: dict[str, tuple[Sequence[str], dict[str, str]]] = {
    "flag": (["--web.listen-address=127.0.0.1:0"], {"WEB_LISTEN_ADDRESS": ":1"}),
    "flag of two words": (["--web.listen-address", "[::1]:0"], {"WEB_LISTEN_ADDRESS": ":1"}),
    "variable with several": ([], {"WEB_LISTEN_ADDRESS": "127.0.0.2:0,0.0.0.0:0"}),
    "every address": ([], {"WEB_LISTEN_ADDRESS": ":0"}),
}


@pytest.mark.parametrize("where", ADDRESSES)
def test_it_asks_where_the_exporter_listens_however_that_was_said(
    where: str, tmp_path: Path
) -> None:
    flags, settings = ADDRESSES[where]
    with running(tmp_path, "demo", *flags, **settings, **SMALL) as exporter:
        assert checked(exporter.process.pid) == (0, "")
        assert exporter.end() == 0
        assert checked(exporter.process.pid) == (1, "nobody listens here\n")


def test_it_finds_the_exporter_behind_what_is_started_before_it(tmp_path: Path) -> None:
    script = f'{EXPORTER} "$@" & trap "kill $!" TERM; wait; wait'
    with running(tmp_path, "demo", command=["sh", "-c", script, "init"], **SMALL) as exporter:
        assert checked(exporter.process.pid) == (0, "")
        exporter.end()


def test_a_process_that_hangs_is_ill(tmp_path: Path) -> None:
    address = free_address()
    with running(tmp_path, WEB_LISTEN_ADDRESS=address, DEVIN_SERVICE_USER_TOKEN="cog_x",
                 DEVIN_API_URL="http://127.0.0.1:1") as exporter:  # fmt: skip
        assert checked(exporter.process.pid) == (0, "")
        exporter.process.send_signal(signal.SIGSTOP)
        try:
            status, reason = checked(exporter.process.pid)
        finally:
            exporter.process.send_signal(signal.SIGCONT)
        assert (status, reason) == (1, f"127.0.0.1 port {address[10:]}: timed out\n")
        assert checked(exporter.process.pid) == (0, "")


def test_a_locked_exporter_is_healthy_as_a_command_says_too(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    folder = Folder.at(tmp_path / "web")
    plain = "tls_server_config: {cert_file: server.crt, key_file: server.key"
    users = f"basic_auth_users: {{prometheus: {hash_of()}}}"
    asked = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem"
    for text in (f"{plain}}}\n{users}", f"{plain}{asked}}}\n{users}", users):
        path = str(folder.write(text))
        with running(tmp_path, "demo", WEB_CONFIG_FILE=path, **SMALL) as exporter:
            number = exporter.process.pid
            assert checked(number) == (0, "")
            assert finished("healthcheck", str(number)).returncode == 0
            assert exporter.end() == 0
            ended = finished("healthcheck", str(number))
            assert (ended.returncode, ended.stderr) == (1, "nobody listens here\n")
    assert finished("healthcheck", "x").returncode == 2


def test_a_socket_that_never_answers_is_ill() -> None:
    command = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", command + "; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        status, reason = checked(deaf.pid)
        deaf.kill()
    assert status == 1
    assert reason.endswith("timed out\n")


def test_it_asks_of_process_1_where_nothing_else_is_said(tmp_path: Path) -> None:
    apart = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no process may have numbers of its own here: that wants root and `unshare`")
    with running(tmp_path, "demo", command=[*apart, EXPORTER], **SMALL) as outside:
        number = outside.process.pid
        (inside,) = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        enter = ["nsenter", f"--target={inside}", "--pid", "--mount", sys.executable, str(SCRIPT)]
        healthy = subprocess.run(
            enter, env=os.environ | ELSEWHERE, capture_output=True, text=True, check=False
        )
    assert (healthy.returncode, healthy.stderr) == (0, "")
