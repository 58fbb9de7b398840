"""The landing page: what is fresh and what is not, sources and tasks. Plain HTML, no script."""

import base64
import hashlib
import math
from html import escape

from exporter.web.status.report import SourceReport, StatusReport, TaskReport

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --back: #fff; --text: #1c1c1c;
  --link: #0b57a4; --good: #00598f; --bad: #a33c00 }
@media (prefers-color-scheme: dark) {
  :root { --back: #161616; --text: #eee; --link: #9ecbff; --good: #7cc4f5; --bad: #ffa36b } }
body { background: var(--back); color: var(--text); margin: 1.5rem auto;
  font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem; padding: 0 1rem }
a { color: var(--link) } h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0 }
.summary { border-left: .3rem solid var(--good); padding: .25rem .75rem }
.summary.bad { border-color: var(--bad) }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.up, .accepted { color: var(--good) }
.down, .refused { color: var(--bad); font-weight: bold }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>devin-exporter</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>devin-exporter</h1>
<p>Prometheus exporter for the usage and cost of AI engineers, version {version}</p>
<nav aria-label="Endpoints"><ul>
<li><a href="{metrics}">Metrics</a></li>
<li><a href="api/v1/status">Status as JSON</a></li>
<li><a href="-/ready">Ready</a></li>
<li><a href="-/healthy">Healthy</a></li>
</ul></nav>
</header>
<main>
{summary}
<h2 id="sources">Sources</h2>
<div class="wide" role="region" aria-labelledby="sources" tabindex="0">
<table><thead><tr><th scope="col">Source</th><th scope="col">Key</th>
<th scope="col">Requests per second at most</th><th scope="col">Longest full run</th>
<th scope="col">Series</th></tr></thead><tbody>
{sources}
</tbody></table></div>
<h2 id="tasks">Tasks</h2>
<div class="wide" role="region" aria-labelledby="tasks" tabindex="0">
<table><thead><tr><th scope="col">Task</th><th scope="col">State</th>
<th scope="col">Last success</th><th scope="col">Took</th><th scope="col">Next</th>
<th scope="col">Series</th><th scope="col">Missing</th><th scope="col">Sweep</th>
<th scope="col">Last error</th></tr></thead><tbody>
{tasks}
</tbody></table></div>
</main>
</body></html>
"""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def landing_page(report: StatusReport, *, telemetry_path: str) -> str:
    """The page as HTML."""
    return _PAGE.format(
        style=_STYLE,
        version=escape(report.version),
        metrics=escape(telemetry_path.removeprefix("/")),
        summary=_summary(report),
        sources="\n".join(_source(source) for source in report.sources),
        # What needs a look comes first.
        tasks="\n".join(
            _task(task)
            for task in sorted(report.tasks, key=lambda task: task.name not in report.not_fresh)
        ),
    )


def _summary(report: StatusReport) -> str:
    ready = "ready" if report.ready else "not ready"
    if not report.not_fresh:
        return (
            f'<p class="summary">All data is fresh. {report.series} series are published; '
            f"the exporter is {ready}.</p>"
        )
    names = ", ".join(escape(name) for name in report.not_fresh)
    return (
        f'<p class="summary bad">Not fresh: {names}. {report.series} series are published; '
        f"the exporter is {ready}.</p>"
    )


def _source(source: SourceReport) -> str:
    longest = "" if source.longest_run_seconds is None else seconds(source.longest_run_seconds)
    return (
        f'<tr><th scope="row">{escape(source.name)}</th><td class="{source.key}">{source.key}</td>'
        f'<td class="number">{source.requests_per_second:g}</td>'
        f'<td class="number">{longest}</td><td class="number">{source.series}</td></tr>'
    )


def _task(task: TaskReport) -> str:
    age = "" if task.age_seconds is None else f"{seconds(task.age_seconds)} ago"
    took = "" if task.duration_seconds is None else f"{task.duration_seconds:.1f} s"
    due = "" if task.next_run_in_seconds is None else f"in {seconds(task.next_run_in_seconds)}"
    numbers = (age, took, due, str(task.series), str(task.entities_missing), _sweep(task))
    running = " (running)" if task.running else ""
    return (
        f'<tr><th scope="row">{escape(task.name)}</th>'
        f'<td class="{task.state}">{task.state}{running}</td>'
        + "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
        + f"<td>{escape(task.error or '')}</td></tr>"
    )


def _sweep(task: TaskReport) -> str:
    if task.sweep_progress_ratio is None or task.sweep_remaining_seconds is None:
        return ""
    # Rounded down: a sweep that is not complete is not shown as 100 %.
    done = math.floor(100 * task.sweep_progress_ratio)
    return f"{done} % done, {seconds(task.sweep_remaining_seconds)} left"


def seconds(count: float) -> str:
    """A duration for people, in its largest unit that is not below 2."""
    for size, unit in _UNITS:
        if count >= 2 * size:
            return f"{count / size:.0f} {unit}"
    return f"{count:.0f} s"
