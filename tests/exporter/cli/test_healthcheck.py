"""The health check against servers that answer well, badly or not at all."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from exporter.cli.healthcheck import main, tree, works
from tests.exporter.commands import finished
from tests.exporter.web.config.folder import Folder

LOOPBACK = "127.0.0.1"
NONE: Mapping[str, str] = {}
ANOTHER_PROCESS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET, AF_INET6

host, status = sys.argv[1], int(sys.argv[2])

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status if self.path == "/-/healthy" else 500)
        self.end_headers()

class Server(HTTPServer):
    address_family = AF_INET6 if ":" in host else AF_INET

with Server((host, 0), Handler) as server:
    print("listening", flush=True)
    server.serve_forever()
"""


@contextmanager
def another_process(code: str, *arguments: str) -> Iterator[int]:
    """Run a program that prints a line once it is ready; gives its number."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


@contextmanager
def serving(
    status: int, *, context: ssl.SSLContext | None = None, headers: Mapping[str, str] = NONE
) -> Iterator[int]:
    """Answer with a status, in TLS if there is a context; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.at(tmp_path_factory.mktemp("certificates"))


def of_server(folder: Folder) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.path / "server.crt", folder.path / "server.key")
    return context


@pytest.mark.parametrize("host", [LOOPBACK, "127.0.0.2", "0.0.0.0", "::1", "::"])  # noqa: S104 - as users may set
def test_a_server_that_answers_200_is_well_wherever_it_listens(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_process(ANOTHER_PROCESS, host, "200") as process:
        assert main([str(process)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_server_that_answers_otherwise_is_ill_and_named(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_process(ANOTHER_PROCESS, LOOPBACK, str(status)) as process:
        assert main([str(process)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("127.0.0.1 port ")
    assert told.endswith(": no `/-/healthy` there\n")


def test_a_server_that_never_answers_is_ill(capsys: pytest.CaptureFixture[str]) -> None:
    deaf = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"
    with another_process(deaf) as process:
        assert main([str(process)]) == 1
    assert capsys.readouterr().err.endswith(": timed out\n")


def test_a_process_that_does_not_listen_or_has_ended_is_ill() -> None:
    with another_process("print(flush=True); input()") as process:
        silent = finished("healthcheck", str(process))
    for ended in (silent, finished("healthcheck", str(process))):
        assert (ended.returncode, ended.stderr) == (1, "nobody listens here\n")


def test_what_a_process_has_started_belongs_to_it() -> None:
    starts = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-S', '-c', 'input()'],"
        " stdin=sys.stdin).pid, flush=True); input()"
    )
    with another_process(starts) as process:
        (child,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        assert tree(process) == [process, int(child)]
        assert {process, int(child)} < set(tree(os.getpid()))


def test_who_asks_for_a_password_works_and_who_asks_for_anything_else_does_not() -> None:
    with serving(401, headers={"WWW-Authenticate": 'Basic realm="metrics"'}) as port:
        assert works(LOOPBACK, port)
    with serving(401, headers={"WWW-Authenticate": "Bearer"}) as port:
        assert not works(LOOPBACK, port)


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_a_server_in_tls_is_asked_in_tls(folder: Folder, status: int, *, well: bool) -> None:
    with serving(status, context=of_server(folder)) as port:
        assert works(LOOPBACK, port) == well


def test_who_asks_for_a_certificate_works(folder: Folder) -> None:
    context = of_server(folder)
    context.load_verify_locations(folder.path / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(200, context=context) as port:
        assert works(LOOPBACK, port)


def test_who_closes_the_connection_without_an_answer_is_an_error() -> None:
    with serving(0) as port, pytest.raises(OSError, match=r"SSL|EOF|reset|closed"):
        works(LOOPBACK, port)
    with pytest.raises(ConnectionRefusedError):
        works(LOOPBACK, port)
