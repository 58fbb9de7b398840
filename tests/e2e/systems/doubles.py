"""Doubles of what receives notifications: Slack, Teams and PagerDuty, and a mail server."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer

from tests.support.limits import HANG_SECONDS
from tests.support.prometheus import BETWEEN_LOOKS


@dataclass(frozen=True)
class Mail:
    """One mail, in both of its forms."""

    subject: str
    plain: str
    html: str


def parsed(message: bytes) -> Mail:
    """What arrived, as a mail."""
    whole = message_from_bytes(message, policy=policy.default)
    forms = {
        each.get_content_type(): str(each.get_content()).replace("\r\n", "\n")
        for each in whole.walk()
        if not each.is_multipart()
    }
    return Mail(str(whole["Subject"]), forms["text/plain"], forms["text/html"])


@dataclass
class Inbox:
    """All that was received."""

    http: str = ""
    smtp: str = ""
    posted: dict[str, list[str]] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)

    def until(self, look: Callable[[], list[str]], what: str) -> str:
        """Wait for a text, and give the newest."""
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found[-1]
            BETWEEN_LOOKS.wait(0.1)
        raise AssertionError(f"{what} never came; what did: {self.posted}, {self.mails}")

    def post(self, path: str, *words: str) -> str:
        """The newest body at a path that has all of these words."""
        return self.until(
            lambda: [
                body
                for body in list(self.posted.get(path, ()))
                if all(word in strings(json.loads(body)) for word in words)
            ],
            f"{path} {words}",
        )

    def mail(self, *words: str) -> Mail:
        """The newest mail whose text has all of these words."""
        found: list[Mail] = []

        def look() -> list[str]:
            found[:] = [mail for mail in list(self.mails) if all(w in mail.plain for w in words)]
            return [mail.plain for mail in found]

        self.until(look, f"a mail {words}")
        return found[-1]


def strings(value: object) -> str:
    """All text within a payload."""
    if isinstance(value, Mapping):
        return "\n".join(strings(each) for each in value.values())
    if isinstance(value, list):
        return "\n".join(strings(each) for each in value)
    return str(value)


@contextmanager
def doubles() -> Iterator[Inbox]:
    """Receive on loopback; the path says who is meant."""
    inbox = Inbox()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            inbox.posted.setdefault(self.path, []).append(body)
            is_pager = self.path == "/pagerduty"
            self.send_response(202 if is_pager else 200)
            self.send_header("Content-Type", "application/json" if is_pager else "text/html")
            self.end_headers()
            self.wfile.write(b'{"status":"success"}' if is_pager else b"ok")

        def log_message(self, *_: object) -> None:
            pass

    class MailServer(StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 mail")
            while command := self.rfile.readline().decode().strip().upper():
                if command.startswith("DATA"):
                    self.say("354 go on")
                    lines = [*iter(self.rfile.readline, b".\r\n")]
                    inbox.mails.append(parsed(b"".join(lines)))
                self.say("221 bye" if command == "QUIT" else "250 ok")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with ExitStack() as stack:
        web = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Web))
        mail = stack.enter_context(ThreadingTCPServer(("127.0.0.1", 0), MailServer))
        for server in (web, mail):
            stack.enter_context(serving(server))
        inbox.http = f"http://127.0.0.1:{web.server_address[1]}"
        inbox.smtp = f"127.0.0.1:{mail.server_address[1]}"
        yield inbox


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Serve until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
