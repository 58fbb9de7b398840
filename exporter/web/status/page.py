"""The landing page: state, age and last error of each task."""

from collections.abc import Callable, Mapping
from html import escape

from exporter.scheduling.store import TaskState

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>devin-exporter</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left }}
td.up {{ color: #00598f }} td.down {{ color: #a33c00; font-weight: bold }}
</style></head><body>
<h1>devin-exporter {version}</h1>
<p><a href="{metrics}">Metrics</a> · <a href="/-/ready">Ready</a> ·
<a href="/-/healthy">Healthy</a></p>
<table><thead><tr><th>Task</th><th>State</th><th>Last success</th><th>Took</th><th>Next</th>
<th>Series</th><th>Missing</th><th>Last error</th></tr></thead><tbody>{rows}</tbody></table>
</body></html>
"""


def landing_page(
    states: Mapping[str, TaskState],
    *,
    now: float,
    due_in: Callable[[str], float | None],
    telemetry_path: str,
    version: str,
) -> str:
    """The page as HTML.

    Args:
        states: by task name.
        now: Unix seconds.
        due_in: seconds until a task's next run; None while none is planned.
    """
    rows = "".join(_row(state, now, due_in(name)) for name, state in states.items())
    return _PAGE.format(version=escape(version), metrics=escape(telemetry_path), rows=rows)


def _row(state: TaskState, now: float, due_in: float | None) -> str:
    outcome = state.outcome
    word = {None: "waiting", True: "up", False: "down"}[state.up]
    if state.task.poll is None:
        word = "derived"
    elif state.switched_off:
        word = "off"
    age = took = error = ""
    due = "" if due_in is None else f"in {max(0.0, due_in):.0f} s"
    if outcome is not None:
        took = f"{outcome.duration:.1f} s"
        if outcome.last_success is not None:
            age = f"{now - outcome.last_success:.0f} s ago"
        error = str(outcome.error or state.unpublishable or "")
    error = state.switched_off or error
    running = " (running)" if state.running_since is not None else ""
    cells = (
        age,
        took,
        due,
        str(state.rendered.series),
        str(state.snapshot.expired_entities),
        error,
    )
    return (
        f'<tr><td>{escape(state.task.name)}</td><td class="{word}">{word}{running}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
    )
