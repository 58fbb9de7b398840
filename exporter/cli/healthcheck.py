"""Ends with 0 if the exporter of this container works, else with 1 and the reason.

It asks `/-/healthy` where process 1, or what that has started, listens. The kernel knows where that
is, whether a flag or a variable said it or neither. `devin-exporter healthcheck PID` is for another
process. The image runs this file alone, as the rest takes longer to start.
"""

import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

TIMEOUT_SECONDS = 3
OK, UNAUTHORIZED = 200, 401
LISTENING = "0A"


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Ask each address until one answers as it should."""
    addresses = [*listening(int(arguments[0]) if arguments else 1)]
    reasons = []
    for host, port in addresses:
        try:
            if works(host, port):
                return 0
            reasons.append(f"{host} port {port}: no `/-/healthy` there")
        except (OSError, HTTPException) as error:
            reasons.append(f"{host} port {port}: {error or type(error).__name__}")
    sys.stderr.write("\n".join(reasons or ["nobody listens here"]) + "\n")
    return 1


def works(host: str, port: int) -> bool:
    """Whether an exporter is there and answers; in TLS where it does not speak plain HTTP.

    Raises:
        OSError: if nobody answers in time.
        HTTPException: the same.
    """
    try:
        return _is_good(HTTPConnection(host, port, timeout=TIMEOUT_SECONDS))
    except (TimeoutError, ConnectionRefusedError):
        raise
    except (OSError, HTTPException):
        pass
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it is this container's own
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    with closing(HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=anybody)) as secure:
        secure.connect()
        try:
            return _is_good(secure)
        except (ssl.SSLError, ConnectionError):
            return True  # it has shown its certificate, and ends it as there is none of ours


def _is_good(connection: HTTPConnection) -> bool:
    with closing(connection):
        connection.request("GET", "/-/healthy")
        answer: HTTPResponse = connection.getresponse()
    wants_a_password = answer.getheader("WWW-Authenticate", "").startswith("Basic")
    return answer.status == OK or (answer.status == UNAUTHORIZED and wants_a_password)


def listening(process: int) -> Iterator[tuple[str, int]]:
    """Where a process and what it has started accept connections, as addresses to connect to."""
    inodes = {inode for each in tree(process) for inode in sockets(each)}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            rows = Path(f"/proc/{process}/net/{table}").read_text(encoding="ascii").splitlines()
        except OSError:
            continue  # a kernel without IPv6
        for row in rows[1:]:
            _, local, _, state, *others = row.split()
            if state == LISTENING and others[5] in inodes:
                yield _address(local, family)


def tree(process: int) -> list[int]:
    """A process, its children, their children."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended
        parent = int(stat.rpartition(")")[2].split()[1])
        parents.setdefault(parent, []).append(int(folder.name))
    found = [process]
    for each in found:
        found.extend(parents.get(each, ()))
    return found


def sockets(process: int) -> Iterator[str]:
    """The inodes of a process' sockets."""
    try:
        files = list(Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return  # another user's, or it has ended
    for file in files:
        with suppress(OSError):  # closed by now
            kind, _, inode = str(file.readlink()).partition(":[")
            if kind == "socket":
                yield inode.rstrip("]")


def _address(local: str, family: socket.AddressFamily) -> tuple[str, int]:
    written, _, port = local.partition(":")
    words = (written[i : i + 8] for i in range(0, len(written), 8))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if family is socket.AF_INET:
        here: IPv4Address | IPv6Address = IPv4Address(packed)
        loopback = "127.0.0.1"
    else:
        here, loopback = IPv6Address(packed), "::1"
    return (loopback if here.is_unspecified else str(here)), int(port, 16)


if __name__ == "__main__":
    sys.exit(main())
