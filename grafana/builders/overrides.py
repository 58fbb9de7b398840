"""Settings of a panel's fields: colours, thresholds, words for numbers, currencies."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from grafana.builders.colours import TEXT


def fixed(colour: str) -> dashboard.FieldColor:
    """One colour."""
    return dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(colour)


BY_PALETTE = dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC)
BY_THRESHOLD = dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def colour(value: str) -> model.DynamicConfigValue:
    """One colour, for some of a panel's fields."""
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": value})


def setting(name: str, value: object) -> model.DynamicConfigValue:
    """A setting of some of a panel's fields."""
    return model.DynamicConfigValue(name, value)


def unset(name: str) -> model.DynamicConfigValue:
    """Some of a panel's fields go without a setting that the panel has."""
    return model.DynamicConfigValue(name)


def thresholds(
    first: str, *steps: tuple[float, str], below: str = TEXT
) -> dashboard.ThresholdsConfig:
    """Colours by value from 0 on: the first one, and others from a value on.

    `below` is that of what is below 0 or has no value, as that is neither good nor bad.
    """
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                model.Threshold(color=below),
                model.Threshold(0, first),
                *(model.Threshold(v, c) for v, c in steps),
            ]
        )
    )


def dashed() -> model.DynamicConfigValue:
    """A dashed line."""
    return setting("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})


def spoken(word: str) -> str:
    """A word of the API as people write it."""
    return SPELT.get(word) or (word[:1].upper() + word[1:]).replace("_", " ")


SPELT = {
    "webapp": "Web app",
    "api": "API",
    "cli": "CLI",
    "ide": "IDE",
    "ci_cd_and_devops": "CI/CD and DevOps",
    "documentation_and_content": "Documentation, content",
    "refactoring_and_optimization": "Refactoring, optimization",
    "waiting_for_user": "Waits for a user",
    "waiting_for_approval": "Waits for approval",
    "usage_limit_exceeded": "Usage limit",
    "org_usage_limit_exceeded": "Organization's limit",
    "total_session_limit_exceeded": "Session limit",
    "user_usage_limit_exceeded": "User's limit",
    "no_quota_allocation": "No quota",
    "xs": "XS",
    "s": "S",
    "m": "M",
    "l": "L",
    "xl": "XL",
    "aione": "AIone gateway",
    "devin_v2_usage": "Devin v2 usage",
    "aione_dashboard": "Gateway dashboard",
    "aione_invoices": "Gateway invoices",
    "aione_keys": "Gateway keys",
    "aione_plan": "Gateway plan",
}
CATEGORIES = (
    "bug_fixing",
    "ci_cd_and_devops",
    "code_quality_and_security",
    "code_review_and_analysis",
    "data_and_automation",
    "documentation_and_content",
    "feature_development",
    "migrations_and_upgrades",
    "other",
    "refactoring_and_optimization",
    "research_and_exploration",
    "unit_test_generation",
)
ORIGINS = (
    "webapp",
    "slack",
    "teams",
    "api",
    "cli",
    "ide",
    "linear",
    "jira",
    "automation",
    "desktop",
    "scheduled",
    "other",
)
TASK_NAMES = (
    "activity",
    "aione_dashboard",
    "aione_invoices",
    "aione_keys",
    "aione_plan",
    "automations",
    "categories",
    "code_scans",
    "cycles",
    "devin_v2_usage",
    "enterprise_consumption",
    "guardrails",
    "hypervisors",
    "identity",
    "limits",
    "organization_activity",
    "organization_consumption",
    "organization_limits",
    "organization_metrics",
    "organizations",
    "pull_requests",
    "queue",
    "searches",
    "service_user_consumption",
    "service_users",
    "session_breakdowns",
    "session_consumption",
    "session_metrics",
    "sessions",
    "teams_file",
    "usage_tiers",
    "user_consumption",
    "users",
)


def words(*raw: str) -> model.ValueMap:
    """Words of the API as people write them; one that is not known stays as it is."""
    return model.ValueMap({word: model.ValueMappingResult(text=spoken(word)) for word in raw})


def coloured_words(colours: Mapping[str, str]) -> model.ValueMap:
    """The same with colours."""
    return model.ValueMap(
        {
            word: model.ValueMappingResult(text=spoken(word), color=shade)
            for word, shade in colours.items()
        }
    )


def named_states(*states: tuple[str, str]) -> model.ValueMap:
    """The numbers from 0 on as words with colours."""
    return model.ValueMap(
        {
            str(index): model.ValueMappingResult(text=text, color=c, index=index)
            for index, (text, c) in enumerate(states)
        }
    )
