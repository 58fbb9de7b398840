"""What the chart renders: the texts that `make lint-extra` compares with Helm's."""

import re

import pytest

from deploy.manifests import rendered
from deploy.manifests.files import GOLDEN, PLAIN, RULES, dashboards
from deploy.manifests.schema import OF_THE_PROCESS, SET_BY_THE_CHART, keys, thresholds
from exporter.cli.catalogue import SECTIONS
from exporter.cli.parser import read_command_line
from exporter.config.settings import WebSettings, settings_of
from tests.deploy.helm.resources import ALL, WITH_PODS, Resource, at, entries, one, table

each_pod = pytest.mark.parametrize(
    "resource",
    [each for each in ALL if each.kind in WITH_PODS],
    ids=lambda each: f"{each.case}-{each.kind}",
)
MONITORS = {"ServiceMonitor", "PodMonitor", "ScrapeConfig"}
each_monitor = pytest.mark.parametrize(
    "monitor",
    [each for each in ALL if each.kind in MONITORS],
    ids=lambda each: f"{each.case}-{each.kind}",
)


def test_the_texts_are_of_the_templates_that_are_there() -> None:
    told = rendered.DIGEST.read_text(encoding="utf-8").strip()
    assert told == rendered.digest(), "run `make chart`, which needs Go"
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(rendered.CASES)


@each_pod
def test_a_pod_keeps_to_the_restricted_profile(resource: Resource) -> None:
    own, container = table(resource.pod["securityContext"]), resource.container
    assert own["runAsNonRoot"] is True
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    security = table(container["securityContext"])
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    volumes = {kind for each in entries(resource.pod["volumes"]) for kind in each} - {"name"}
    assert volumes <= {"secret", "configMap", "persistentVolumeClaim"}
    assert resource.pod["automountServiceAccountToken"] is False
    assert resource.pod["enableServiceLinks"] is False
    assert {"requests", "limits"} == table(container["resources"]).keys()


@each_pod
def test_a_pod_is_given_settings_that_there_are_and_no_key(resource: Resource) -> None:
    known = {each.variable for each in settings_of(SECTIONS)} | OF_THE_PROCESS | SET_BY_THE_CHART
    assert resource.variables.keys() <= known
    assert not resource.variables.keys() & keys()


@each_pod
def test_every_key_is_a_file_that_is_mounted(resource: Resource) -> None:
    mounted = {str(each["mountPath"]): each for each in entries(resource.container["volumeMounts"])}
    volumes = {str(each["name"]): each for each in entries(resource.pod["volumes"])}
    named = [name.removesuffix("_FILE") for name in resource.variables if name.endswith("_FILE")]
    of_keys = [name for name in named if name in keys()]
    assert of_keys
    items = entries(
        at(volumes[str(mounted["/run/secrets/devin-exporter"]["name"])], "secret", "items")
    )
    assert [each["path"] for each in items] == of_keys
    for name in of_keys:
        assert resource.variables[f"{name}_FILE"] == f"/run/secrets/devin-exporter/{name}"
    known = {*volumes, "state"}
    assert {str(each["name"]) for each in mounted.values()} <= known


def test_numbers_and_switches_arrive_as_the_exporter_reads_them() -> None:
    variables = one("everything", "Deployment").variables
    assert variables["DEVIN_USER_LIMIT"] == "1500000"
    assert variables["DEVIN_ACU_PRICE"] == "2.25"
    assert variables["DEVIN_SESSION_TITLES"] == "true"


@pytest.mark.parametrize("case", ["minimal", "everything", "plain"])
def test_one_replica_ends_before_the_next_begins(case: str) -> None:
    spec = table(one(case, "Deployment").document["spec"])
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_pair_shares_the_rate_limit_and_is_never_three() -> None:
    pair = one("pair", "Deployment")
    assert at(pair.document, "spec", "replicas") == 2
    assert pair.variables["DEVIN_REQUESTS_PER_SECOND"] == "7.5"
    assert at(pair.document, "spec", "strategy", "rollingUpdate") == {
        "maxSurge": 0, "maxUnavailable": 1,
    }  # fmt: skip
    assert one("state", "StatefulSet").variables["DEVIN_REQUESTS_PER_SECOND"] == "5"


def test_state_has_a_volume_of_each_pods_own() -> None:
    state = one("state", "StatefulSet")
    (claim,) = entries(at(state.document, "spec", "volumeClaimTemplates"))
    mounts = {each["name"]: each["mountPath"] for each in entries(state.container["volumeMounts"])}
    assert mounts[at(claim, "metadata", "name")] == state.variables["STATE_DIR"]
    assert at(state.document, "spec", "serviceName") == one("state", "Service").name


@pytest.mark.parametrize("case", ["minimal", "pair", "everything", "plain"])
def test_probes_ask_what_the_exporter_serves(case: str) -> None:
    container = one(case, "Deployment").container
    (port,) = entries(container["ports"])
    assert WebSettings().listen_address == f":{port['containerPort']}"
    asked = {
        probe: at(container, f"{probe}Probe", "httpGet")
        for probe in ("startup", "liveness", "readiness")
    }
    assert asked["liveness"] == {"path": "/-/healthy", "port": port["name"]}
    assert asked["startup"] == asked["liveness"]
    assert asked["readiness"] == {"path": "/-/ready", "port": port["name"]}


def test_where_users_are_asked_for_passwords_the_images_own_check_probes() -> None:
    container = one("state", "StatefulSet").container
    for probe in ("startup", "liveness", "readiness"):
        command = at(container, f"{probe}Probe", "exec", "command")
        assert command == ["python", "/opt/healthcheck.py"]


@each_monitor
def test_a_scrape_has_a_constant_job_and_instance_and_tells_a_pair_apart(monitor: Resource) -> None:
    spec = table(monitor.document["spec"])
    name = {"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"}.get(monitor.kind)
    scrape = entries(spec[name])[0] if name else spec
    steps = entries(scrape["relabelings"])
    constant = {each["targetLabel"]: each["replacement"] for each in steps if "replacement" in each}
    assert constant == {"job": "devin-exporter", "instance": "devin-exporter"}
    dropped = str(steps[-1]["regex"])
    assert steps[-1]["action"] == "labeldrop"
    is_pair = monitor.case in {"pair", "state"}
    labels = {"namespace", "service", "container", "endpoint", "pod"}
    left = {label for label in labels if not re.fullmatch(dropped, label)}
    assert left == ({"pod"} if is_pair else set())
    if monitor.kind == "ScrapeConfig":
        assert {"sourceLabels": ["__address__"], "targetLabel": "pod"} in steps


def test_what_selects_pods_selects_those_of_this_release() -> None:
    labels = table(
        at(one("everything", "Deployment").document, "spec", "template", "metadata", "labels")
    )
    selectors = [
        ("Service", ("spec", "selector")),
        ("NetworkPolicy", ("spec", "podSelector", "matchLabels")),
        ("PodDisruptionBudget", ("spec", "selector", "matchLabels")),
        ("ServiceMonitor", ("spec", "selector", "matchLabels")),
        ("Deployment", ("spec", "selector", "matchLabels")),
    ]
    for kind, path in selectors:
        wanted = table(at(one("everything", kind).document, *path))
        assert wanted.items() <= labels.items(), kind
        assert wanted["app.kubernetes.io/instance"] == "devin-exporter"


def test_the_service_has_pods_that_are_not_ready_as_their_metrics_say_why() -> None:
    spec = table(one("minimal", "Service").document["spec"])
    assert spec["publishNotReadyAddresses"] is True
    assert spec["clusterIP"] == "None"


def test_the_backfill_waits_for_a_user_and_is_a_command_that_is_understood() -> None:
    job = one("everything", "CronJob")
    assert at(job.document, "spec", "suspend") is True
    arguments = job.container["args"]
    assert isinstance(arguments, list)
    command, _, _ = read_command_line(arguments)
    assert command == "backfill"
    assert {"--job=devin-exporter", "--instance=devin-exporter"} < set(arguments)


def test_external_secrets_write_what_the_pod_mounts() -> None:
    external = one("state", "ExternalSecret")
    (volume,) = (
        each
        for each in entries(one("state", "StatefulSet").pod["volumes"])
        if each["name"] == "keys"
    )
    assert at(external.document, "spec", "target", "name") == at(volume, "secret", "secretName")
    written = {each["secretKey"] for each in entries(at(external.document, "spec", "data"))}
    assert written == {each["key"] for each in entries(at(volume, "secret", "items"))}


def test_rules_and_every_dashboard_are_rendered_where_they_are_asked_for() -> None:
    text = (GOLDEN / "everything.yaml").read_text(encoding="utf-8")
    assert text.count("\n  # the rules\n") == 1
    first, *_ = dashboards()  # the others are compared with it where Helm renders them
    assert text.count(f"  {first}: |-\n    # {first}\n") == 1
    assert text.count(f"    key: {first}\n") == 1
    for case in set(rendered.CASES) - {"everything"}:
        own = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")
        assert "# the rules" not in own
        assert ".json" not in own


@pytest.mark.parametrize("name", sorted(thresholds()))
def test_a_threshold_is_a_number_that_the_chart_can_replace(name: str) -> None:
    text = RULES.read_text(encoding="utf-8")
    found = re.findall(rendered.NUMBER.format(name), text)
    assert len(found) == len(re.findall(rf"(?m)# threshold: {name}$", text)) > 0


def test_other_rules_than_those_of_the_source_are_noticed() -> None:
    text = RULES.read_text(encoding="utf-8").replace("severity: critical", "severity: x")
    with pytest.raises(SystemExit, match="not rendered as their sources have them"):
        rendered.shortened(text, "minimal")


def test_manifests_without_helm_hold_the_exporter_and_how_it_is_scraped() -> None:
    kinds = {each.kind for each in ALL if f"{each.case}.yaml" in PLAIN.values()}
    assert kinds == {
        "Deployment", "NetworkPolicy", "Service", "ServiceAccount", "ServiceMonitor",
    }  # fmt: skip
