"""The chart's generated files and what its values may be."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from deploy.manifests.files import BOARDS, CHART, DEPLOY, PLAIN, documents, main
from deploy.manifests.schema import keys, settings, thresholds, values_schema
from exporter import __version__
from exporter.cli.catalogue import ROOT, SECTIONS
from exporter.config.settings import settings_of

GENERATED = documents()
VALUES: tuple[Path, ...] = (CHART / "values.yaml", *sorted(CHART.glob("ci/*.yaml")))
CHECK = Draft7Validator(dict(values_schema()))


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_up_to_date(name: str) -> None:
    assert (DEPLOY / name).read_text(encoding="utf-8") == GENERATED[name], "run `make generate`"


def test_a_dashboard_that_is_no_more_does_not_stay_behind(tmp_path: Path) -> None:
    gone = tmp_path / BOARDS / "devin-gone.json"
    gone.parent.mkdir(parents=True)
    gone.write_text("{}", encoding="utf-8")
    main(tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.as_posix() for path in written} == GENERATED.keys()


def test_the_chart_has_the_exporters_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__
    for name in PLAIN:
        text = (DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")
        assert "VERSION" not in text


def test_dashboards_of_the_chart_are_those_of_grafana() -> None:
    for path in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        own = (CHART / "files" / "dashboards" / path.name).read_text(encoding="utf-8")
        assert json.loads(own) == json.loads(path.read_text(encoding="utf-8"))
        assert len(own) < 256 << 10, "kubectl apply keeps no more in its annotation"


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.name)
def test_the_schema_accepts_the_values_that_are_shipped(path: Path) -> None:
    CHECK.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_every_default_has_its_place_in_the_schema_and_the_reverse() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    properties = values_schema()["properties"]
    assert isinstance(properties, Mapping)
    assert values.keys() == properties.keys() - {"global"}
    for name, table in values.items():
        inner = properties[name].get("properties")
        if inner and name != "settings":
            assert table.keys() == inner.keys(), name


@pytest.mark.parametrize(
    "values",
    [
        {"settings": {"DEVIN_SERVICE_USER_TOKEN": "cog_x"}},
        {"settings": {"DEVIN_SERVICE_USER_TOKEN_FILE": "/key"}},
        {"settings": {"DEVIN_POL_INTERVAL": "300"}},
        {"settings": {"WEB_LISTEN_ADDRESS": ":1"}},
        {"secret": {"token": "cog_x"}},
        {"secret": {"keys": {"DEVIN_API_URL": "url"}}},
        {"replicas": 3},
        {"monitor": {"kind": "Servicemonitor"}},
        {"prometheusRule": {"thresholds": {"spike": 2}}},
        {"prometheusRule": {"thresholds": {"spike_ratio": "2"}}},
        {"prometheusRule": {"grafanaUrl": "grafana.example"}},
        {"backfill": {"days": 0}},
        {"image": {"digest": "latest"}},
        {"imagee": {}},
    ],
    ids=str,
)
def test_a_key_in_values_and_what_is_misspelt_are_refused(values: Mapping[str, object]) -> None:
    assert not CHECK.is_valid(dict(values))


def test_every_setting_but_keys_and_the_charts_own_can_be_set() -> None:
    assert {"DEVIN_ACU_PRICE", "DEVIN_USER_METRICS", "LOG_LEVEL", "AIONE_API_URL"} < settings()
    assert "DEVIN_SERVICE_USER_TOKEN" in keys()
    variables = {each.variable for each in settings_of(SECTIONS)}
    assert keys() <= variables
    assert {f"{name}_FILE" for name in keys()} <= variables
    assert "queue_stuck_size" in thresholds()
