"""The commands that the documents name: as blocks of shell, and within sentences."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.cli.catalogue import ROOT

DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
SHELL = {"sh", "shell", "bash", "console", "zsh"}
FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*(?P<language>\S*)")
HOURS = 3_600


def languages() -> Iterator[tuple[str, str]]:
    """The language of each block, with the document's name."""
    for path in DOCUMENTS:
        fences = re.findall(r"^\s*```(\S*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        yield from ((path.name, language) for language in fences[::2])


def blocks() -> dict[str, str]:
    """Each block of shell, by its document, the heading above it, and which of them it is."""
    return {name: text for path in DOCUMENTS for name, text in _blocks(path)}


def _blocks(path: Path) -> Iterator[tuple[str, str]]:
    heading, language = "", None
    lines: list[str] = []
    seen: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if fence := FENCE.match(line):
            if language is None:
                language, lines = fence["language"], []
                continue
            if language in SHELL:
                name = f"{path.relative_to(ROOT)}: {heading}"
                seen[name] = seen.get(name, 0) + 1
                number = f" ({seen[name]})" if seen[name] > 1 else ""
                yield name + number, "\n".join(_dedented(lines)) + "\n"
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()


def _dedented(lines: list[str]) -> Iterator[str]:
    margin = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
    return (each[margin:] for each in lines)


def mentions(program: str) -> Iterator[tuple[str, str]]:
    """Each command of a program that a sentence holds, with the document."""
    for path in DOCUMENTS:
        prose = re.sub(
            r"^\s*```.*?^\s*```",
            "",
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
        for command in re.findall(rf"`({re.escape(program)} [^`]+)`", prose):
            yield path.name, " ".join(command.split())


def commands(text: str) -> list[str]:
    """The commands of a block, without what is said beside them."""
    whole = text.replace("\\\n", " ")
    return [stripped for line in whole.splitlines() if (stripped := _said(line))]


def _said(line: str) -> str:
    return re.sub(r"(^|\s)#\s.*$", "", line).strip()


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """A text with other words; each of them must have been there."""
    for word, other in changes.items():
        assert word in text, f"{word!r} is not in\n{text}"
        text = text.replace(word, other)
    return text


def run(text: str, folder: Path, **variables: str) -> str:
    """Run a text as a shell would in a folder; gives what it printed."""
    ended = subprocess.run(
        ["sh", "-euc", text],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=HOURS,
        check=False,
    )
    assert ended.returncode == 0, f"{text}\n{ended.stdout}{ended.stderr}"
    return ended.stdout
