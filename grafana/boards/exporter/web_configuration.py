"""Whether the web configuration is in use as it is now."""

from grafana.builders.colours import BAD, GOOD
from grafana.builders.overrides import named_states
from grafana.builders.panels import stat_panel
from grafana.builders.queries import now
from grafana.expressions import days
from grafana.expressions import promql as q

_metric = "devin_exporter_web_config_last_reload"
_in_use = f"min({_metric}_successful{{{q.JOB}}})"
_age = f"time() - min({_metric}_success_timestamp_seconds{{{q.JOB}}})"

WEB_CONFIGURATION = stat_panel(
    "Web configuration",
    "Whether the file of WEB_CONFIG_FILE (TLS, users, headers) is in use as it is now, in every "
    "replica; above, how long the oldest one in use has been so. A broken file is not taken: the "
    "one before stays in use.",
    "none",
    now(
        days.with_line(
            _in_use,
            days.as_text(f"floor(({_age}) / 3600)", "the one in use is $1 h old"),
            "age unknown",
        ),
        "{{line}}",
    ),
    width=6,
    height=9,
    missing=[("not used", "WEB_CONFIG_FILE", q.none_of(_in_use))],
).mappings([named_states(("broken file", BAD), ("current", GOOD))])
