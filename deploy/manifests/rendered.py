"""Renders the chart over the values in `deploy/helm/ci`, for the texts in `tests/golden/helm`.

`python -m deploy.manifests.rendered HELM...` compares them, with Helm as the words of a command;
with `--write` before it, it writes them. Rules and dashboards are compared with their sources and
left out, so that the texts change with the templates alone.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import yaml

from deploy.manifests import kubernetes_schemas
from deploy.manifests.files import CHART, GOLDEN, RULES, VERSION, dashboards
from exporter import __version__

NEWEST = kubernetes_schemas.VERSIONS[-1]
DIGEST = GOLDEN / "templates.sha256"
RUNBOOK, GRAFANA = "https://example.com/devin-exporter/runbook", "http://localhost:3000"
BY_HELM = r"(?m)^ *app\.kubernetes\.io/managed-by: Helm\n"
NUMBER = r"(?m)-?\(?[0-9][0-9.* ]*\)?(?=  # threshold: {}$)"


@dataclass(frozen=True, slots=True)
class Case:
    """One rendering: its values, and the templates that it shows (all by default)."""

    values: str
    templates: tuple[str, ...] = ()


CASES = MappingProxyType(
    {
        "minimal": Case("minimal"),
        "pair": Case("pair"),
        "state": Case("state"),
        "everything": Case("everything"),
        "plain": Case("plain", ("service", "network-policy", "workload")),
        "service-monitor": Case("plain", ("monitor",)),
    }
)


def digest() -> str:
    """Of all that the texts are rendered from, but for rules, dashboards and version."""
    own = hashlib.sha256()
    for path in (
        CHART / "values.yaml",
        *sorted(CHART.glob("templates/*")),
        *sorted(CHART.glob("ci/*")),
    ):
        own.update(f"{path.relative_to(CHART)}\n".encode() + path.read_bytes())
    return own.hexdigest()


def rules_for(values: str) -> str:
    """The rules as a table of values has them: other thresholds and addresses."""
    values_given = yaml.safe_load((CHART / "ci" / f"{values}.yaml").read_text(encoding="utf-8"))
    given = values_given.get("prometheusRule", {})
    text = RULES.read_text(encoding="utf-8").strip()
    for name, value in given.get("thresholds", {}).items():
        text = re.sub(NUMBER.format(name), str(value), text)
    text = text.replace(RUNBOOK, given.get("runbookUrl", RUNBOOK))
    return text.replace(GRAFANA, given.get("grafanaUrl", GRAFANA).rstrip("/"))


def shortened(text: str, values: str) -> str:
    """A rendered text with its rules and dashboards left out, which are as their sources have them.

    Raises:
        SystemExit: if they are not.
    """
    text = text.replace(f'version: "{__version__}"', f'version: "{VERSION}"')
    text = re.sub(rf"(?m)^( *image: .*):{re.escape(__version__)}$", rf"\1:{VERSION}", text)
    text = re.sub(r"(?m)^# Source: .*\n", "", text)
    parts = {_indented(rules_for(values), 2): "  # the rules\n"}
    for name, board in dashboards().items():
        parts[_indented(board.strip(), 4)] = f"    # {name}\n"
    for part, instead in parts.items():
        text = text.replace(part, instead)
    if "groups:" in text or '"panels"' in text:
        raise SystemExit(
            f"{values}: rules or dashboards are not rendered as their sources have them"
        )
    return _with_one_board(text)


def _with_one_board(text: str) -> str:
    """The text without the resources of all dashboards but one, from which they differ by name."""
    first, *others = (name.removesuffix(".json") for name in dashboards())
    found = text.split("---\n")
    for name in others:
        for board in [each for each in found if f"{first}.json" in each]:
            twin = board.replace(first, name).replace(
                f"-{first.removeprefix('devin-')}\n", f"-{name.removeprefix('devin-')}\n"
            )
            if twin not in found:
                raise SystemExit(f"{name} is rendered otherwise than {first}")
            found.remove(twin)
    return "---\n".join(found)


def _indented(text: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())


def render(case: Case, helm: Sequence[str]) -> str:
    """What Helm makes of a case, shortened."""
    shown = [f"--show-only=templates/{name}.yaml" for name in case.templates]
    values = f"--values={CHART / 'ci' / case.values}.yaml"
    done = subprocess.run(
        [
            *helm,
            "template",
            "devin-exporter",
            str(CHART),
            "--namespace=monitoring",
            f"--kube-version={NEWEST}",
            values,
            *shown,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    text = shortened(done.stdout, case.values)
    return re.sub(BY_HELM, "", text) if case.templates else text


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Compare or write all texts."""
    is_writing, helm = list(arguments[:1]) == ["--write"], arguments
    if is_writing:
        helm = arguments[1:]
        GOLDEN.mkdir(parents=True, exist_ok=True)
        DIGEST.write_text(f"{digest()}\n", encoding="utf-8")
    stale = []
    for name, case in CASES.items():
        path, text = GOLDEN / f"{name}.yaml", render(case, helm)
        if is_writing:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        raise SystemExit(
            f"Helm renders otherwise than tests/golden/helm has it: {', '.join(stale)}"
        )


if __name__ == "__main__":
    main()
