"""A server on loopback that responds as a test says, and the settings of a process beside it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakeApi:
    """A server whose responses are those of a function of the path: status and body."""

    url: str
    requested: list[str] = field(default_factory=list)


@contextmanager
def fake_api(respond: Callable[[str], tuple[int, bytes]]) -> Iterator[FakeApi]:
    """Serve until the end of the block."""
    made = FakeApi("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            made.requested.append(path)
            status, body = respond(path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def settings(url: str) -> dict[str, str]:
    """The v3 source alone at such a server."""
    return {
        "DEVIN_API_URL": url,
        "DEVIN_SERVICE_USER_TOKEN": "cog_of_a_process",
        "DEVIN_REQUESTS_PER_SECOND": "1000",
    }
