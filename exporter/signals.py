"""Being told to end."""

import signal
from queue import SimpleQueue

TERMINATION = (signal.SIGTERM, signal.SIGINT)


def termination() -> SimpleQueue[int]:
    """From now on, SIGTERM and SIGINT put their number into this queue and do nothing else.

    Not an Event: the handler runs in the thread that waits, maybe while it holds the Event's
    lock, and would wait for that lock for ever. `SimpleQueue.put` may interrupt its own `get`.
    """
    received: SimpleQueue[int] = SimpleQueue()
    for number in TERMINATION:
        signal.signal(number, lambda told, _frame: received.put(told))
    return received
