"""What the documents name is there."""

import re

import pytest

from exporter.cli.catalogue import ROOT
from exporter.cli.parser import read_command_line
from tests.docs.documented import blocks, commands, languages, mentions


def test_a_block_says_what_it_is() -> None:
    drawing = ("architecture.md", "")
    assert {each for each in languages() if not each[1]} <= {drawing}


def test_what_sentences_and_blocks_have_make_do_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = {command.split()[1] for _, command in mentions("make")}
    of_blocks = {
        command.split()[1]
        for text in blocks().values()
        for command in commands(text)
        if command.startswith("make ")
    }
    assert named | of_blocks <= targets


@pytest.mark.parametrize("command", sorted({each for _, each in mentions("devin-exporter")}))
def test_a_command_that_a_sentence_names_is_understood(command: str) -> None:
    arguments = f"{command} ".replace(" N ", " 1 ").replace(" PID ", " 1 ").split()[1:]
    if arguments == ["--help"]:
        with pytest.raises(SystemExit) as ended:
            read_command_line(arguments)
        assert ended.value.code == 0
    else:
        read_command_line(arguments)
