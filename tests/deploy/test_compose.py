"""`docker-compose.yml` and what it mounts: valid, pinned, closed, and whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from exporter.cli.catalogue import ROOT
from tests.deploy.compose import FILE, Service, interpolate, services

ENVIRONMENT = ROOT / ".env.example"
WITH_A_KEY = {"DEVIN_SERVICE_USER_TOKEN": "cog_x", "HISTORY_DAYS": "30"}
ALL = services({})

each_service = pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)


def test_it_keeps_to_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@each_service
def test_every_image_has_a_fixed_version(service: Service) -> None:
    name, version = service.image
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", version), name
    assert name != "devin-exporter" or version == __version__


@each_service
def test_what_is_mounted_is_there_and_what_is_not_is_a_volume(service: Service) -> None:
    volumes = yaml.safe_load(FILE.read_text(encoding="utf-8"))["volumes"]
    for source, _ in service.mounts:
        assert (ROOT / source).exists() if source.startswith(".") else source in volumes
    for mount in service.words("volumes"):
        assert not mount.startswith(".") or mount.endswith(":ro,z")


@each_service
def test_nothing_is_open_beyond_this_machine_and_everything_is_limited(service: Service) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.words("ports"))
    assert service.words("cap_drop") == ["ALL"]
    assert service.words("security_opt") == ["no-new-privileges:true"]
    assert service.told["read_only"] is (service.name != "grafana")
    deploy = yaml.safe_load(str(service.told["deploy"]))
    assert set(deploy["resources"]["limits"]) == {"cpus", "memory"}


@each_service
def test_what_others_wait_for_can_be_told(service: Service) -> None:
    by_name = {each.name: each for each in ALL}
    for name, condition in service.needs.items():
        once = by_name[name].is_run_once
        assert condition == ("service_completed_successfully" if once else "service_healthy")
    assert bool(service.health_check) != service.is_run_once


def test_each_waits_for_what_it_cannot_do_without() -> None:
    assert {service.name: set(service.needs) for service in ALL} == {
        "exporter": set(),
        "password": set(),
        "alertmanager": set(),
        "history": {"exporter"},
        "blocks": {"history"},
        "prometheus": {"blocks", "exporter", "alertmanager"},
        "grafana": {"password", "prometheus"},
    }


def test_an_image_is_built_once() -> None:
    assert [service.name for service in ALL if "build" in service.told] == ["exporter"]
    for service in ALL:
        if service.image[0] == "devin-exporter":
            policy = "build" if service.name == "exporter" else "never"
            assert service.told["pull_policy"] == policy


def test_the_one_command_needs_no_file_and_no_variable() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert not re.findall(r"\$\{\w+(?::?\?)", text)
    assert interpolate(text, {}) == interpolate(text, {"HISTORY_DAYS": "90"})
    for service in ALL:
        for file in service.told.get("env_file", ()):  # type: ignore[attr-defined]
            assert file == {"path": ".env", "required": False}


def test_the_example_of_settings_turns_nothing_on_and_names_what_is_there() -> None:
    lines = ENVIRONMENT.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("#") for line in lines if line)
    named = set(re.findall(r"(?m)^#([A-Z_]+)=", "\n".join(lines)))
    known = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    of_compose = {"HISTORY_DAYS", "GRAFANA_ADMIN_PASSWORD", "GRAFANA_ANONYMOUS"}
    assert {name for name in named if f"`{name}`" not in known} == of_compose


def test_grafanas_provisioning_has_the_documented_shape_and_its_paths_are_mounted() -> None:
    (grafana,) = (service for service in ALL if service.name == "grafana")
    mounted = {target: source for source, target in grafana.mounts}
    for kind, key in (("dashboards", "providers"), ("datasources", "datasources")):
        for file in (ROOT / mounted[f"/etc/grafana/provisioning/{kind}"]).iterdir():
            told = yaml.safe_load(file.read_text(encoding="utf-8"))
            assert told.keys() <= {"apiVersion", key, "deleteDatasources", "prune"}
            assert told["apiVersion"] == 1
            for each in told[key]:
                assert each.keys() <= SHAPES[kind].keys()
                for name, value in each.items():
                    assert isinstance(value, SHAPES[kind][name]), name
                if kind == "dashboards":
                    source = mounted[each["options"]["path"]]
                    assert list((ROOT / source).glob("devin-*.json"))
    home = grafana.table("environment")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    assert (ROOT / mounted[folder] / name).exists()
    password, _, _ = grafana.table("environment")["GF_SECURITY_ADMIN_PASSWORD__FILE"].rpartition(
        "/"
    )
    assert mounted[password] == "password"


SHAPES: dict[str, dict[str, type]] = {
    "dashboards": {
        "name": str, "orgId": int, "folder": str, "folderUid": str, "type": str,
        "disableDeletion": bool, "updateIntervalSeconds": int, "allowUiUpdates": bool,
        "options": dict,
    },
    "datasources": {
        "name": str, "uid": str, "type": str, "access": str, "orgId": int, "url": str,
        "isDefault": bool, "editable": bool, "jsonData": dict, "version": int,
    },
}  # fmt: skip
"""The fields that Grafana's documents name for its provisioning files, those of use here."""
