"""Being told to end, at any moment."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from exporter.signals import TERMINATION, termination

SIGNALS = 3_000
PAUSE_SECONDS = 0.0001
DEADLINE_SECONDS = 30


@pytest.fixture
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in TERMINATION}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers_as_before")
def test_a_signal_is_heard_at_whatever_point_of_waiting_it_comes() -> None:
    received = termination()
    heard_enough = threading.Event()

    def signal_again_and_again() -> None:
        while not heard_enough.wait(PAUSE_SECONDS):
            os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=signal_again_and_again)
    sender.start()
    try:
        heard = {received.get(timeout=DEADLINE_SECONDS) for _ in range(SIGNALS)}
    finally:
        heard_enough.set()
        sender.join()
    assert heard == {signal.SIGTERM}
