"""A real HTTPS server in front of the simulated APIs, which misbehaves where it is told to."""

import base64
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from pathlib import Path
from typing import BinaryIO

import httpx
import trustme

from tests.support.limits import HANG_SECONDS

HOST = "localhost"
UNKNOWN_NAME = "api.devin.test"
"""A name that no resolver knows, though the server's certificate holds it."""
ELSEWHERE = "/elsewhere"
"""A path that nothing leads to but a redirect."""
PLAIN_HTTP = "plain HTTP"

CHUNK = b" " * (1 << 16)
GIGABYTE = 1 << 30

JsonObject = dict[str, object]
Healthy = Callable[[str, str], tuple[int, bytes]]
"""What the simulated API answers, by target and `Authorization`: status and body."""


class Certificates:
    """An authority of our own, and certificates that are and are not to be trusted.

    Attributes:
        authority: PEM file of the authority.
    """

    def __init__(self, folder: Path) -> None:
        ca, nobody = trustme.CA(), trustme.CA()
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.authority = folder / "authority.pem"
        ca.cert_pem.write_to_path(self.authority)
        self.good = _context(ca.issue_cert(HOST, UNKNOWN_NAME))
        self.expired = _context(
            ca.issue_cert(HOST, not_before=yesterday - timedelta(days=1), not_after=yesterday)
        )
        self.of_an_unknown_authority = _context(nobody.issue_cert(HOST))
        itself = folder / "self-signed.pem"
        itself.write_bytes(nobody.private_key_pem.bytes() + nobody.cert_pem.bytes())
        self.self_signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.self_signed.load_cert_chain(itself)
        self.of_another_name = _context(ca.issue_cert("elsewhere.test"))


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@dataclass
class Exchange:
    """One request, and the connection on which it is to be answered.

    Attributes:
        target: path and query.
        authorization: the header.
        healthy: what the simulated API answers: status and body.
        neighbour: where another server is.
        over: whether the connection ends with it.
        server_ends: set when the server is to end.
    """

    target: str
    authorization: str
    connection: ssl.SSLSocket
    healthy: Callable[[], tuple[int, bytes]]
    neighbour: str
    server_ends: threading.Event
    over: bool = False

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer by the rules of HTTP, whatever it says."""
        told = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n"
        self.connection.sendall(head.encode() + body)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are; the connection ends afterwards."""
        self.over = True
        self.connection.sendall(data)


Behaviour = Callable[[Exchange], None]


def forward(exchange: Exchange) -> None:
    """Answer as the simulated API does."""
    exchange.answer(*exchange.healthy())


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Always this answer."""
    return lambda exchange: exchange.answer(code, body, **headers)


def changed(change: Callable[[JsonObject], object]) -> Behaviour:
    """The simulated API's answer, changed."""

    def behave(exchange: Exchange) -> None:
        code, body = exchange.healthy()
        exchange.answer(code, json.dumps(change(json.loads(body))).encode())

    return behave


def slow(seconds: float) -> Behaviour:
    """The simulated API's answer, after so many seconds."""

    def behave(exchange: Exchange) -> None:
        exchange.server_ends.wait(seconds)
        forward(exchange)

    return behave


def held(until: threading.Event) -> Behaviour:
    """The simulated API's answer, no sooner than that."""

    def behave(exchange: Exchange) -> None:
        until.wait(HANG_SECONDS)
        forward(exchange)

    return behave


def only(key: str) -> Behaviour:
    """The simulated API's answer to this key; 401 to any other."""

    def behave(exchange: Exchange) -> None:
        if exchange.authorization == f"Bearer {key}":
            forward(exchange)
        else:
            exchange.answer(401)

    return behave


def cut_off(exchange: Exchange) -> None:
    """Half of the answer, and the end of the connection."""
    _, body = exchange.healthy()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    exchange.raw(head + body[: len(body) // 2])


def half(exchange: Exchange) -> None:
    """Half of the answer, as if that were all."""
    _, body = exchange.healthy()
    exchange.answer(200, body[: len(body) // 2])


def reset(exchange: Exchange) -> None:
    """End the connection as a crash does."""
    linger_for_no_time = struct.pack("ii", 1, 0)
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
    exchange.over = True


def repeat(exchange: Exchange) -> None:
    """What was asked, key and all, in place of an answer."""
    asked = f"GET {exchange.target} Authorization: {exchange.authorization}"
    exchange.raw(f"{asked}\r\n\r\n".encode())


def half_open(exchange: Exchange) -> None:
    """Never say anything."""
    exchange.over = True
    exchange.server_ends.wait()


def byte_by_byte(seconds: float) -> Behaviour:
    """The answer, a byte every so many seconds."""

    def behave(exchange: Exchange) -> None:
        _, body = exchange.healthy()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for byte in head + body:
            if exchange.server_ends.wait(seconds):
                break
            exchange.raw(bytes([byte]))

    return behave


def a_gigabyte(exchange: Exchange) -> None:
    """An answer that is larger than any true one."""
    exchange.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n".encode())
    for _ in range(GIGABYTE // len(CHUNK)):
        exchange.raw(CHUNK)


@cache
def _packed() -> bytes:
    """Of one block again and again: nobody reads as far as to the checksum, which is not true."""
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = packer.compress(CHUNK) + packer.flush(zlib.Z_FULL_FLUSH)
    untrue = struct.pack("<II", 0, GIGABYTE)
    return head + block * (GIGABYTE // len(CHUNK)) + packer.flush() + untrue


def bomb(exchange: Exchange) -> None:
    """A gigabyte, packed into a megabyte."""
    exchange.answer(200, _packed(), Content_Encoding="gzip")


AGAIN = base64.urlsafe_b64encode(b"after:0").decode()
"""The simulated API's cursor of the first page."""


def endless(page: JsonObject) -> JsonObject:
    """A page of a list whose cursor comes back."""
    return {**page, "has_next_page": True, "end_cursor": AGAIN}


def second_page_fails(exchange: Exchange) -> None:
    """A list whose first page promises a second, which fails."""
    if "after=" in exchange.target:
        exchange.answer(500)
        return
    code, body = exchange.healthy()
    page = json.loads(body) | {"has_next_page": True, "end_cursor": "second"}
    exchange.answer(code, json.dumps(page).encode())


def bound(port: int = 0) -> socket.socket:
    """A port of this machine on which nobody listens."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


@dataclass
class Front:
    """The server: forwards, but for the paths that were told to misbehave.

    Attributes:
        neighbour: where another server is.
        asked: the paths that were asked for, in order; `PLAIN_HTTP` for whatever was asked so.
    """

    healthy: Healthy
    certificates: Certificates
    neighbour: str = ""
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._behaviours: dict[str, Behaviour] = {}
        self._context = self.certificates.good
        self._ends = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening = bound()
        self.port = int(self._listening.getsockname()[1])
        self._listen()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{HOST}:{self.port}"

    def misbehave(self, behaviour: Behaviour, *paths: str) -> None:
        """Behave so on these paths, or on all paths that begin so where one ends in `*`."""
        self._behaviours |= dict.fromkeys(paths, behaviour)

    def show(self, certificate: ssl.SSLContext) -> None:
        """Show another certificate, on new connections."""
        self._context = certificate
        self._hang_up()

    def refuse(self) -> None:
        """Accept no connection; the port stays ours."""
        self._close()
        self._listening = bound(self.port)

    def heal(self) -> None:
        """Behave again."""
        self._behaviours = {}
        self._ends.set()
        self._hang_up()
        self._ends = threading.Event()
        self._context = self.certificates.good
        if not self._accepting.is_alive():
            self._listen()

    def stop(self) -> None:
        """End."""
        self._ends.set()
        self._close()
        self._listening.close()

    def _listen(self) -> None:
        self._listening.listen(128)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(HANG_SECONDS)
        with suppress(OSError, HTTPException), self._tracked(plain):
            try:
                secure = self._context.wrap_socket(plain, server_side=True)
            except ssl.SSLError as failed:
                if failed.reason == "HTTP_REQUEST":
                    self.asked.append(PLAIN_HTTP)
                raise
            with self._tracked(secure), secure.makefile("rb") as reader:
                while self._answer_one(secure, reader):
                    pass

    @contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _answer_one(self, connection: ssl.SSLSocket, reader: BinaryIO) -> bool:
        line = reader.readline().decode()
        if not line:
            return False
        _, target, _ = line.split()
        authorization = parse_headers(reader)["Authorization"]
        path = target.partition("?")[0]
        self.asked.append(path)
        exchange = Exchange(
            target,
            authorization,
            connection,
            lambda: self.healthy(target, authorization),
            self.neighbour,
            self._ends,
        )
        self._behaviour(path)(exchange)
        return not exchange.over

    def _behaviour(self, path: str) -> Behaviour:
        for where, behaviour in self._behaviours.items():
            if path == where or (where.endswith("*") and path.startswith(where[:-1])):
                return behaviour
        return forward


def forwarding(client: httpx.Client) -> Healthy:
    """Ask the server that a client is for."""

    def ask(target: str, authorization: str) -> tuple[int, bytes]:
        answer = client.get(target, headers={"Authorization": authorization})
        return answer.status_code, answer.content

    return ask


@dataclass
class Proxy:
    """An HTTP proxy that tunnels to whatever stands behind one port of this machine.

    Attributes:
        listening: where it is.
        asked: the request lines and headers that it has seen.
    """

    behind: int
    listening: socket.socket = field(default_factory=bound)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listening.listen()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def stop(self) -> None:
        """End; tunnels end with the connections behind them."""
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self.listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                asking, _ = self.listening.accept()
                threading.Thread(target=self._tunnel, args=(asking,), daemon=True).start()

    def _tunnel(self, asking: socket.socket) -> None:
        with asking, socket.create_connection(("127.0.0.1", self.behind)) as behind:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += asking.recv(1)
            self.asked.append(head.decode())
            asking.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pour, args=(behind, asking), daemon=True)
            back.start()
            _pour(asking, behind)
            back.join()


def _pour(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            into.sendall(chunk)
        into.shutdown(socket.SHUT_WR)
