"""The generated documents and the folders keep to what the code says."""

import re
from pathlib import Path

import pytest

from exporter.cli.catalogue import PUBLISHED, ROOT, documents, main
from exporter.metrics import Metric

OF_PROMETHEUS = {"job", "instance", "le", "quantile", "alertname", "alertstate", "monitor"}
OF_OPERATORS = {
    "namespace", "pod", "service", "container", "endpoint", "node", "prometheus", "replica",
    "prometheus_replica", "app", "image", "workload", "target", "metrics_path",
}  # fmt: skip
OF_AGENTS = {
    "url", "address", "host", "hostname", "host_name", "agent", "agent_hostname", "integration",
    "pod_name", "container_name", "node_name", "service_name", "service_instance_id",
    "server_address", "server_port", "url_scheme", "http_scheme", "net_host_name", "net_host_port",
    "otel_scope_name", "otel_scope_version",
}  # fmt: skip
OF_CLOUDS = {
    "cluster", "cluster_name", "env", "environment", "region", "zone", "availability_zone",
    "location", "datacenter", "dc", "project", "project_id", "account", "account_id",
    "subscription", "resource_group", "stage", "tenant", "tenant_id", "receive", "server",
    "deployment", "machine", "application",
}  # fmt: skip
OF_TARGETS = OF_PROMETHEUS | OF_OPERATORS | OF_AGENTS | OF_CLOUDS
"""What is put on every series of a target from outside: ours would become `exported_…`, or be
replaced by theirs."""


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_generated_documents_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == documents()[path], "run `make generate`"


def test_documents_are_written_where_asked(tmp_path: Path) -> None:
    main(tmp_path)
    for path, text in documents().items():
        assert (tmp_path / path.name).read_text(encoding="utf-8") == text


def test_no_name_is_published_twice() -> None:
    names = [metric.name for metric in PUBLISHED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", PUBLISHED, ids=lambda metric: metric.name)
def test_no_label_is_one_that_targets_are_given(metric: Metric) -> None:
    assert not set(metric.labels) & OF_TARGETS


def test_every_metric_and_setting_that_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = "".join(documents().values())
    for name in re.findall(r"`((?:devin|DEVIN|WEB|LOG|DEMO)_\w+)`", readme):
        assert f"`{name}`" in known, name


def test_no_source_file_is_longer_than_three_hundred_lines() -> None:
    for path in (ROOT / "exporter").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
