"""The line that shows on a terminal how far the first round has come."""

import io
import sys
import threading

import pytest

from exporter.cli.printing import FirstRound
from tests.support.limits import HANG_SECONDS


class Terminal(io.StringIO):
    """A terminal, as far as the line can see."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_on_a_terminal_a_line_shows_the_first_round_until_it_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, over = Terminal(), threading.Event()
    monkeypatch.setattr(sys, "stderr", terminal)
    looks = [(10, 10), (3, 10)]

    def look() -> tuple[int, int]:
        if len(looks) == 1:
            over.set()
        return looks.pop()

    FirstRound(look).start()
    assert over.wait(HANG_SECONDS)
    assert "first round" in terminal.getvalue()
    assert "3/10" in terminal.getvalue()


def test_without_a_terminal_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    FirstRound(lambda: pytest.fail("nobody looks")).start()
    assert capfd.readouterr().err == ""
