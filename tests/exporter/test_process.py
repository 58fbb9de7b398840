"""Being told to end, at any moment, and the search for garbage."""

import gc
import subprocess
import sys

import pytest

from exporter.process import nothing_to_collect
from tests.support.limits import HANG_SECONDS

ROUNDS = 20_000
# In a process of its own, as the threads of the tests would take the signals.
HEARS_ALL = """
import os, queue, signal, sys, threading
from exporter.process import hold_termination, wait_for_termination

hold_termination()
heard = queue.SimpleQueue()

def send():
    for _ in range(int(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGTERM)
        heard.get()

threading.Thread(target=send, daemon=True).start()
for _ in range(int(sys.argv[1])):
    told = wait_for_termination()
    heard.put(told)
print(told.name)
"""


def test_a_signal_is_heard_at_whatever_point_of_waiting_it_comes() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HEARS_ALL, str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "SIGTERM\n"), ended.stderr


def test_garbage_is_searched_for_again_also_after_a_failure() -> None:
    with pytest.raises(ValueError, match="a start that fails"), nothing_to_collect():
        raise ValueError("a start that fails")
    assert gc.isenabled()


def test_one_start_within_another_does_not_begin_the_search() -> None:
    with nothing_to_collect():
        with nothing_to_collect():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
