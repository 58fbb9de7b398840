"""The shipped receivers and templates, rendered by a real Alertmanager for every alert there is."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import yaml

from tests.e2e.systems.doubles import Inbox, doubles
from tests.support import loopback
from tests.support.prometheus import ROOT, RULE_TESTS, RULES, find, free_address, served

FOLDER = ROOT / "deploy" / "alertmanager"
WORDS_OF_PEOPLE = "R&D <!channel> *all* [x](http://example.com/y)"


@dataclass(frozen=True)
class Sent:
    """An alert as Prometheus would send it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """All that a notification must say."""
        told = self.annotations
        return (told["summary"], told["description"], told["dashboard_url"], told["runbook_url"])


def expected_alerts() -> Iterator[Sent]:
    """The first of each alert and severity, with the texts that the rules' own tests expect."""
    seen = set()
    for path in RULE_TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for rule in test.get("alert_rule_test", ()):
                for alert in rule["exp_alerts"]:
                    key = (rule["alertname"], alert["exp_labels"]["severity"])
                    if key not in seen and "exp_annotations" in alert:
                        seen.add(key)
                        own = {"alertname": rule["alertname"], "job": "-".join(key)}
                        yield Sent(alert["exp_labels"] | own, alert["exp_annotations"])


ALERTS = list(expected_alerts())
BY_PEOPLE = Sent(
    {"alertname": "DevinAcuSpike", "severity": "critical", "job": "by-people"},
    {
        "summary": "An organization spends far more ACUs than usual today",
        "description": f"{WORDS_OF_PEOPLE} used 76.0 ACUs, against 12.0 usually.",
        "dashboard_url": "http://localhost:3000/d/devin-cost?var-job=d&var-org=o",
        "runbook_url": "https://example.com/devin-exporter/runbook#devinacuspike",
    },
)


@dataclass(frozen=True)
class Notified:
    """What was received, and where further alerts can be sent."""

    inbox: Inbox
    url: str
    has_teams: bool

    def send(self, alerts: list[Sent], *, resolved: bool = False) -> None:
        """Send alerts that began just now, or that have ended."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat()
        end = {"endsAt": now} if resolved else {}
        body = [
            {"labels": each.labels, "annotations": each.annotations, "startsAt": now, **end}
            for each in alerts
        ]
        with loopback.client() as client:
            client.post(f"{self.url}/api/v2/alerts", json=body).raise_for_status()


@pytest.fixture(scope="module", params=[False, True], ids=["stable", "newer"])
def notified(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notified]:
    """Alertmanager with the shipped receivers; the stable one does not know Teams."""
    has_teams = bool(request.param)
    binary = find("prometheus-alertmanager", newer=has_teams)
    if binary is None:
        pytest.skip("an alertmanager is missing: `make test` brings it by apt")
    folder = tmp_path_factory.mktemp("alertmanager")
    with doubles() as inbox:
        changes = {
            "/etc/alertmanager/devin.tmpl": str(FOLDER / "devin.tmpl"),
            "/etc/alertmanager": str(folder),
            "group_wait: 30s": "group_wait: 0s",
            "group_interval: 5m": "group_interval: 1s",
            "smtp.example.com:587": inbox.smtp,
            "send_resolved: true\n        headers": (
                "send_resolved: true\n        require_tls: false\n        headers"
            ),
            "routing_key_file": f"url: {inbox.http}/pagerduty\n        routing_key_file",
        }
        text = (FOLDER / "receivers.yml").read_text(encoding="utf-8")
        if not has_teams:
            text = re.sub(r"(?ms)^    msteamsv2_configs:.*?\n\n", "\n", text)
        for shipped, here in changes.items():
            assert shipped in text, shipped
            text = text.replace(shipped, here)
        for name in ("slack", "teams"):
            (folder / name).write_text(f"{inbox.http}/{name}", encoding="utf-8")
        for name in ("smtp", "pagerduty"):
            (folder / name).write_text("secret", encoding="utf-8")
        (folder / "alertmanager.yml").write_text(text, encoding="utf-8")
        address = free_address()
        command = [
            binary, f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}", f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ]  # fmt: skip
        with served(command, f"http://{address}/-/ready", folder / "log"):
            running = Notified(inbox, f"http://{address}", has_teams)
            running.send([*ALERTS, BY_PEOPLE])
            yield running


def test_every_alert_that_there_is_is_sent() -> None:
    told = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"]
            for rule in group["rules"] if "alert" in rule}  # fmt: skip
    assert {alert.labels["alertname"] for alert in ALERTS} == told


def escaped(text: str) -> str:
    """As Slack has it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def of_team(alert: Sent) -> bool:
    return alert.labels["severity"] != "critical"


each_of_team = pytest.mark.parametrize(
    "alert", [each for each in ALERTS if of_team(each)], ids=lambda alert: alert.labels["job"]
)


@each_of_team
def test_the_team_reads_the_same_in_teams(notified: Notified, alert: Sent) -> None:
    if not notified.has_teams:
        return
    summary, description, board, runbook = alert.texts
    teams = json.loads(notified.inbox.post("/teams", f"[Board]({board})", f"[Runbook]({runbook})"))
    (card,) = teams["attachments"]
    title, text, *_ = (block["text"] for block in card["content"]["body"])
    assert title == summary
    assert description in text.replace("\\", "")


@each_of_team
def test_the_team_reads_what_how_much_and_where_to_look(notified: Notified, alert: Sent) -> None:
    summary, description, board, runbook = alert.texts
    said = escaped(description)
    slack = json.loads(notified.inbox.post("/slack", said, f"<{escaped(board)}|Board>", runbook))
    (attachment,) = slack["attachments"]
    assert attachment["title"] == summary
    assert attachment["title_link"] == board
    mail = notified.inbox.mail(description, board, runbook)
    assert mail.subject == summary
    for line in mail.html.splitlines():
        assert not line.startswith("{{")
    assert "Board</a>" in mail.html


@pytest.mark.parametrize("alert", [each for each in ALERTS if not of_team(each)],
                         ids=lambda alert: alert.labels["job"])  # fmt: skip
def test_whoever_is_on_call_is_paged_with_links(notified: Notified, alert: Sent) -> None:
    summary, description, board, runbook = alert.texts
    paged = json.loads(notified.inbox.post("/pagerduty", description, board, runbook))
    assert paged["event_action"] == "trigger"
    assert paged["payload"]["summary"] == summary
    assert paged["payload"]["severity"] == "critical"
    assert paged["payload"]["class"] == alert.labels["alertname"]
    assert [(link["href"], link["text"]) for link in paged["links"]] == [
        (board, "Board"), (runbook, "Runbook"),
    ]  # fmt: skip
    assert description in paged["payload"]["custom_details"]["what"]


def test_people_cannot_call_a_channel_or_make_links_by_their_names(notified: Notified) -> None:
    alert = Sent({**BY_PEOPLE.labels, "severity": "warning"}, BY_PEOPLE.annotations)
    notified.send([alert])
    said = escaped(WORDS_OF_PEOPLE)
    assert "<!channel>" not in notified.inbox.post("/slack", said)
    if notified.has_teams:
        teams = json.loads(notified.inbox.post("/teams", "R&D"))
        text = teams["attachments"][0]["content"]["body"][1]["text"]
        assert "\\<!channel\\>" in text
        assert "\\[x\\](" in text
    mail = notified.inbox.mail(WORDS_OF_PEOPLE)
    assert "&lt;!channel&gt;" in mail.html


def test_several_alerts_of_one_organization_are_one_notification(notified: Notified) -> None:
    together = [
        Sent({**alert.labels, "job": "together", "org_id": "o", "severity": "info"},
             alert.annotations)
        for alert in ALERTS[:3]
    ]  # fmt: skip
    notified.send(together)
    texts = [alert.annotations["description"] for alert in together]
    mail = notified.inbox.mail(*texts)
    assert "3 " in mail.subject
    slack = json.loads(notified.inbox.post("/slack", *map(escaped, texts)))
    assert "3 " in slack["attachments"][0]["title"]


def test_what_is_over_is_called_resolved(notified: Notified) -> None:
    alert = next(each for each in ALERTS if of_team(each))
    other = Sent({**alert.labels, "job": "over"}, alert.annotations)
    page = Sent({**alert.labels, "job": "over-page", "severity": "critical"}, alert.annotations)
    notified.send([other, page])
    notified.inbox.until(
        lambda: [each for each in notified.inbox.posted.get("/pagerduty", ())
                 if "over-page" in each], "the page"
    )  # fmt: skip
    notified.send([other, page], resolved=True)
    resolved = f"Resolved: {alert.annotations['summary']}"
    slack = json.loads(notified.inbox.post("/slack", resolved))
    assert slack["attachments"][0]["title"] == resolved
    assert notified.inbox.mail(resolved).subject == resolved
    if notified.has_teams:
        assert resolved in notified.inbox.post("/teams", resolved)
    paged = json.loads(notified.inbox.post("/pagerduty", "resolve", "secret"))
    assert paged["event_action"] == "resolve"


def test_plain_text_of_mails_says_since_when(notified: Notified) -> None:
    alert = next(each for each in ALERTS if of_team(each))
    text = notified.inbox.mail(alert.annotations["description"]).plain
    assert re.search(r"(?m)^Since \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)
