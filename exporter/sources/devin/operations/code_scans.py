"""Code scans: `GET /v3/enterprise/code-scans/metrics`, where the deployment has them."""

from collections.abc import Iterator

from pydantic import TypeAdapter

from exporter.client.endpoint import Endpoint
from exporter.client.models import Count, ResponseModel
from exporter.metrics import Metric, Sample
from exporter.sources.devin import keys
from exporter.sources.devin.activity.pull_requests import by_state
from exporter.sources.devin.activity.windowed import Ids, window_query
from exporter.sources.devin.billing.windows import billing_month

SCANS = Metric("devin_code_scan_scans", "Code scans created in the running billing cycle.")
REPOSITORIES = Metric("devin_code_scan_repositories", "Repositories that they scanned.")
PULL_REQUESTS = Metric(
    "devin_code_scan_prs",
    "Pull requests that they led to, by what has become of them: open, merged or closed; other is "
    "what their number holds beyond these.",
    ("state",),
)
FINDINGS = Metric(
    "devin_code_scan_open_findings",
    "Findings of them that are open, by severity.",
    ("severity",),
)
METRICS = (SCANS, REPOSITORIES, PULL_REQUESTS, FINDINGS)


class CodeScans(ResponseModel):
    """The fields read of the endpoint."""

    scans_count: Count
    repos_scanned_count: Count | None = None
    prs_created_count: Count | None = None
    prs_open_count: Count | None = None
    prs_merged_count: Count | None = None
    prs_closed_count: Count | None = None
    open_critical_findings_count: Count | None = None
    open_high_findings_count: Count | None = None
    open_medium_findings_count: Count | None = None
    open_low_findings_count: Count | None = None


ENDPOINT = Endpoint(
    path="/v3/enterprise/code-scans/metrics",
    response=TypeAdapter(CodeScans),
    feeds="code scans",
    permission=keys.VIEW_CODE_SCANS,
    keys=keys.ENTERPRISE_ONLY,
    optional=keys.NOT_HERE,
    check_params=lambda now: billing_month(now).params,
)


def _samples(response: CodeScans, _: Ids) -> Iterator[Sample]:
    yield SCANS(response.scans_count)
    if response.repos_scanned_count is not None:
        yield REPOSITORIES(response.repos_scanned_count)
    states = {
        "open": response.prs_open_count,
        "merged": response.prs_merged_count,
        "closed": response.prs_closed_count,
    }
    for state, count in by_state(states, response.prs_created_count).items():
        yield PULL_REQUESTS(count, state=state)
    findings = {
        "critical": response.open_critical_findings_count,
        "high": response.open_high_findings_count,
        "medium": response.open_medium_findings_count,
        "low": response.open_low_findings_count,
    }
    for severity, open_now in findings.items():
        if open_now is not None:
            yield FINDINGS(open_now, severity=severity)


QUERIES = (window_query("cycle", ENDPOINT, _samples),)
