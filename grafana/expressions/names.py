"""The PromQL of names, which are joined on: each is the id where no name is known.

`at` is the moment that names are of, as a modifier of selectors.
"""

from grafana.expressions.promql import JOB, NAMES_WITHIN, ORGANIZATION


def _most_frequent(metric: str, key: str, names: str, *, matchers: str = JOB, at: str = "") -> str:
    """One name for each id, also in the hours after a change of names."""
    seen = f"count_over_time({metric}{{{matchers}}}{NAMES_WITHIN}{at})"
    return f"topk by ({key}) (1, max by ({key}, {names}) ({seen}))"


def organization_names(ids: str, *, at: str = "") -> str:
    """1 by `org_id` and `org_name`; of chosen ones."""
    names = _most_frequent(
        "devin_organization_info", "org_id", "org_name", matchers=ORGANIZATION, at=at
    )
    return (
        f"(group by (org_id, org_name) ({names}) or on (org_id) "
        f'label_replace(group by (org_id) ({ids}), "org_name", "$1", "org_id", "(.*)"))'
    )


def user_names(ids: str, *, at: str = "") -> str:
    """1 by `user_id` and `user`: the name, else the e-mail, else the id.

    Where several people have one name, their e-mail stands behind it, else their id.
    """
    info = _most_frequent("devin_user_info", "user_id", "user_email, user_name", at=at)
    by_id = f'label_replace({info}, "user", "$1", "user_id", "(.*)")'
    by_email = f'label_replace({by_id}, "user", "$1", "user_email", "(.+)")'
    named = f'label_replace({by_email}, "user", "$1", "user_name", "(.+)")'
    repeated = f"(count by (user) ({named}) > 1)"
    with_id = f'label_replace({named}, "which", "$1", "user_id", "(.*)")'
    which = f'label_replace({with_id}, "which", "$1", "user_email", "(.+)")'
    told_apart = f'label_join({which} and on (user) {repeated}, "user", ", ", "user", "which")'
    return (
        f"(group by (user_id, user) ({told_apart} or on (user_id) {named}) or on (user_id) "
        f'label_replace(group by (user_id) ({ids}), "user", "$1", "user_id", "(.*)"))'
    )


def _joined(metric: str, key: str, name: str, ids: str, at: str) -> str:
    names = _most_frequent(metric, key, name, at=at)
    return (
        f"(group by ({key}, {name}) ({names}) or on ({key}) "
        f'label_replace(group by ({key}) ({ids}), "{name}", "$1", "{key}", "(.*)"))'
    )


def service_user_names(ids: str, *, at: str = "") -> str:
    """1 by `service_user_id` and `service_user_name`."""
    return _joined("devin_service_user_info", "service_user_id", "service_user_name", ids, at)


def team_names(ids: str, *, at: str = "") -> str:
    """1 by `team_id` and `team_name`."""
    return _joined("aione_team_info", "team_id", "team_name", ids, at)


def with_organization_name(values: str, ids: str, *, at: str = "") -> str:
    """Values by `org_id`, with `org_name` beside it."""
    return f"({values}) * on (org_id) group_left (org_name) {organization_names(ids, at=at)}"


def with_team_name(values: str, ids: str) -> str:
    """Values by `team_id`, with `team_name` beside it."""
    return f"({values}) * on (team_id) group_left (team_name) {team_names(ids)}"


def with_user_name(values: str, ids: str, *, at: str = "") -> str:
    """Values by `user_id`, with `user` beside it."""
    return f"({values}) * on (user_id) group_left (user) {user_names(ids, at=at)}"


def with_service_user_name(values: str, ids: str, *, at: str = "") -> str:
    """Values by `service_user_id`, with `service_user_name` beside it."""
    names = service_user_names(ids, at=at)
    return f"({values}) * on (service_user_id) group_left (service_user_name) {names}"
