"""The workflows, as files: nothing here runs them."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from exporter.cli.catalogue import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
LOCAL = re.compile(r"\./(?P<file>\.github/workflows/[\w-]+\.yml)")
OF_THE_RUNNER = {"apt-get", "cosign", "docker", "gh", "git"}
"""What a runner or an action before it brings; all else is the repository's own."""
Table = Mapping[str, object]


def table(value: object) -> Table:
    assert isinstance(value, Mapping), value
    return {str(key): each for key, each in value.items()}


def entries(value: object) -> list[Table]:
    assert isinstance(value, list), value
    return [table(each) for each in value]


def read(name: str) -> Table:
    return table(yaml.safe_load((ROOT / ".github" / name).read_text(encoding="utf-8")))


def jobs(name: str) -> dict[str, Table]:
    return {job: table(each) for job, each in table(read(f"workflows/{name}")["jobs"]).items()}


def steps(job: Table) -> list[Table]:
    return entries(job.get("steps", []))


def inputs(job: Table, action: str) -> list[Table]:
    """What each step of a job gives to an action."""
    used = (step for step in steps(job) if str(step.get("uses", "")).startswith(f"{action}@"))
    return [table(step.get("with", {})) for step in used]


def everywhere() -> Iterator[tuple[str, Table]]:
    for path in WORKFLOWS:
        for name, job in jobs(path.name).items():
            yield f"{path.name}: {name}", job


EVERYWHERE = dict(everywhere())


def commands(job: Table) -> Iterator[str]:
    """The commands of a job's run steps, out of what shell puts around them."""
    for step in steps(job):
        for line in str(step.get("run", "")).splitlines():
            for part in line.split("; "):
                command = re.sub(r"^(if |then |\w+=\$\()", "", part.strip())
                if command and not command.startswith(("fi", "exit", "[")):
                    yield command


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def is_known(command: str) -> bool:
    program, *arguments = shlex.split(command.rstrip(")"))
    if program == "make":
        return set(arguments) <= make_targets()
    if program == "python3" and arguments[0] == "-m":
        return (ROOT / arguments[1].replace(".", "/")).with_suffix(".py").is_file()
    if program == "python3":
        return (ROOT / arguments[0]).is_file()
    return program in OF_THE_RUNNER


def test_there_are_the_four_workflows() -> None:
    names = [path.name for path in WORKFLOWS]
    assert names == ["ci.yml", "fresh-machine.yml", "locks.yml", "release.yml"]


@pytest.mark.parametrize("path", [*WORKFLOWS, DEPENDABOT], ids=lambda path: path.name)
def test_a_file_says_what_it_is_for_and_parses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert table(yaml.safe_load(text))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_a_commit_whose_version_stands_beside_it(path: Path) -> None:
    used = re.findall(r"\buses: *(.+)", path.read_text(encoding="utf-8"))
    assert used
    for each in used:
        local = LOCAL.match(each)
        assert PINNED.fullmatch(each) or (local and (ROOT / local["file"]).is_file()), each


def test_an_action_is_of_one_version_everywhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # \S+)", text))
    assert len({action for action, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_nothing_but_what_its_jobs_name(path: Path) -> None:
    workflow = read(f"workflows/{path.name}")
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"secrets\.(\w+)", text)) == set()
    assert "pull_request_target" not in text


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_job_names_its_permissions_has_a_time_limit_and_leaves_no_token_behind(
    name: str,
) -> None:
    job = EVERYWHERE[name]
    assert "permissions" in job
    assert "timeout-minutes" in job or "uses" in job
    for given in inputs(job, "actions/checkout"):
        assert given["persist-credentials"] is False


def test_only_a_release_and_the_proposal_of_locks_may_write() -> None:
    writing = {
        name
        for name, job in EVERYWHERE.items()
        if any(level == "write" for level in table(job["permissions"]).values())
    }
    assert writing == {
        "locks.yml: propose", "release.yml: image", "release.yml: provenance",
        "release.yml: pypi", "release.yml: release",
    }  # fmt: skip


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_job_runs_what_the_repository_has(name: str) -> None:
    unknown = [command for command in commands(EVERYWHERE[name]) if not is_known(command)]
    assert unknown == []


@pytest.mark.parametrize(
    "command", ["make nothing", "python3 -m deploy.nothing", "python3 nothing.py", "curl example"]
)
def test_what_it_has_not_is_noticed(command: str) -> None:
    assert list(commands({"steps": [{"run": f"if true; then {command}; fi"}]}))[-1] == command
    assert not is_known(command)


def test_the_tests_run_with_every_python_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [
        version
        for classifier in project["classifiers"]
        if (version := classifier.rpartition(" :: ")[2]).startswith("3.")
    ]
    job = jobs("ci.yml")["test"]
    tried = table(table(job["strategy"])["matrix"])["python"]
    assert tried == supported
    assert project["requires-python"] == f">={supported[0]}"
    assert "make test" in commands(job)


@pytest.mark.parametrize(("workflow", "pushes"), [("ci.yml", False), ("release.yml", True)])
def test_the_image_is_built_for_both_architectures(workflow: str, *, pushes: bool) -> None:
    (given,) = inputs(jobs(workflow)["image"], "docker/build-push-action")
    assert given["platforms"] == "linux/amd64,linux/arm64"
    assert (ROOT / str(given["file"])).is_file()
    assert given["build-args"] == "REVISION=${{ github.sha }}"
    assert given["push"] is pushes


def behind(name: str) -> set[str]:
    """All that must have succeeded before a job of the release."""
    told = jobs("release.yml")[name].get("needs", [])
    needed = {told} if isinstance(told, str) else set(map(str, entries_of_text(told)))
    return needed.union(*(behind(each) for each in needed))


def entries_of_text(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def test_nothing_is_published_of_a_tag_that_is_refused_or_of_code_that_fails() -> None:
    release = jobs("release.yml")
    first, *others = commands(release["build"])
    assert first == 'python3 -m deploy.release.notes "$GITHUB_REF_NAME" > notes.md'
    assert others == ["make dist", "make sbom"]
    assert release["test"]["uses"] == "./.github/workflows/ci.yml"
    for name in release.keys() - {"test", "build"}:
        assert behind(name) >= {"test", "build"}, name
    assert behind("release") == release.keys() - {"release"}


def test_what_is_released_is_signed_without_a_key() -> None:
    release = jobs("release.yml")
    bill, files = inputs(release["provenance"], "actions/attest")
    assert bill == {"subject-path": "dist/*", "sbom-path": "sbom/devin-exporter.cdx.json"}
    assert files == {"subject-path": "dist/*"}
    (image,) = inputs(release["image"], "actions/attest")
    assert image["subject-digest"] == "${{ steps.build.outputs.digest }}"
    assert any(command.startswith("cosign sign ") for command in commands(release["image"]))
    (pypi,) = inputs(release["pypi"], "pypa/gh-action-pypi-publish")
    assert pypi == {}  # no password
    for name in ("provenance", "image", "pypi"):
        assert table(release[name]["permissions"])["id-token"] == "write"


def test_every_week_both_commands_run_on_both_debians_as_they_are_then() -> None:
    assert "schedule" in (ROOT / ".github/workflows/fresh-machine.yml").read_text(encoding="utf-8")
    job = jobs("fresh-machine.yml")["debian"]
    assert table(table(job["strategy"])["matrix"])["image"] == [
        "debian:bookworm", "debian:trixie",
    ]  # fmt: skip
    _, install, *own = commands(job)
    brought = {word for word in install.split()[2:] if not word.startswith("--")}
    assert brought == {"ca-certificates", "git", "make", "python3", "python3-pip"}
    assert own == ["python3 tests/machines/first_scrape.py", "make test"]


def test_updates_come_in_groups_and_not_on_a_releases_first_days() -> None:
    updates = entries(read("dependabot.yml")["updates"])
    asked = {str(update["package-ecosystem"]): update for update in updates}
    assert asked.keys() == {"github-actions", "docker", "docker-compose", "pip"}
    for update in updates:
        assert update["groups"]
        assert table(update["cooldown"])["default-days"] == 7
    assert list(ROOT.joinpath(str(asked["docker"]["directory"]).strip("/")).glob("Dockerfile"))
    upgrade = tomllib.loads((ROOT / ".github" / "upgrade.toml").read_text(encoding="utf-8"))
    assert upgrade == {"exclude-newer": "7 days", "pip": {"upgrade": True}}
    (lock,) = (step for step in steps(jobs("locks.yml")["resolve"]) if "env" in step)
    assert lock["run"] == "make lock"
    assert lock["env"] == {"UV_CONFIG_FILE": ".github/upgrade.toml"}
