"""Starting what serves a port."""

from collections.abc import Callable

from deploy.demo.processes import FailedError, Process, Processes
from deploy.demo.web import choose_port, is_free


def start_server(
    processes: Processes,
    start: Callable[[int], Process],
    is_up: Callable[[Process, int], bool],
    *,
    wanted: int,
    name: str,
    seconds: float = float("inf"),
) -> tuple[Process, int]:
    """Start a server on the wanted port or another, and wait until it is up; gives the port.

    Whoever starts at the same moment may take a port that was free: then it is another one.

    Raises:
        FailedError: if it does not come up within a time.
        EndedError: if it is time to end.
    """
    while True:
        port = choose_port(name, wanted)
        server = start(port)
        came_up = _wait(processes, server, port, is_up, seconds)
        if came_up and not server.has_ended:
            return server, port
        processes.end(server)
        if not came_up:
            raise FailedError(f"it is not up after {seconds:.0f} s\n{server.last_lines()}")
        if is_free(port):
            raise FailedError(f"it ended by itself\n{server.last_lines()}")


def _wait(
    processes: Processes,
    server: Process,
    port: int,
    is_up: Callable[[Process, int], bool],
    seconds: float,
) -> bool:
    return processes.until(lambda: server.has_ended or is_up(server, port), seconds=seconds)
