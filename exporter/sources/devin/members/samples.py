"""What is published of the members: names, memberships and counts."""

from collections.abc import Iterable, Iterator

from exporter.metrics import Metric, Sample
from exporter.sources.devin.billing.windows import seconds
from exporter.sources.devin.members.models import Member, Organization, ServiceUser
from exporter.sources.devin.members.user_policy import UserPolicy

ORGANIZATION_INFO = Metric(
    "devin_organization_info", "An organization's name; 1.", ("org_id", "org_name")
)
USER_INFO = Metric(
    "devin_user_info", "A user's e-mail and name; 1.", ("user_id", "user_email", "user_name")
)
MEMBER_INFO = Metric(
    "devin_organization_member_info",
    "A user's membership in an organization, from the role assignments; 1.",
    ("org_id", "user_id"),
)
SERVICE_USER_INFO = Metric(
    "devin_service_user_info", "A service user's name; 1.", ("service_user_id", "service_user_name")
)
SERVICE_USER_EXPIRY = Metric(
    "devin_service_user_expiry_timestamp_seconds",
    "When a service user's key expires, in Unix seconds; absent if it never does.",
    ("service_user_id",),
)
ORGANIZATIONS = Metric("devin_organizations", "Organizations of the enterprise.")
USERS = Metric("devin_users", "Users of the enterprise, from both lists, each counted once.")
SERVICE_USERS = Metric("devin_service_users", "Service users of the enterprise.")

ORGANIZATION_METRICS = (ORGANIZATION_INFO, ORGANIZATIONS)
USER_METRICS = (USER_INFO, MEMBER_INFO, USERS)
SERVICE_USER_METRICS = (SERVICE_USER_INFO, SERVICE_USER_EXPIRY, SERVICE_USERS)
METRICS = (*ORGANIZATION_METRICS, *USER_METRICS, *SERVICE_USER_METRICS)


def organization_samples(items: Iterable[Organization]) -> Iterator[Sample]:
    """The names of organizations."""
    for item in items:
        yield ORGANIZATION_INFO(1, org_id=item.org_id, org_name=item.name or item.org_id)


def service_user_samples(items: Iterable[ServiceUser]) -> Iterator[Sample]:
    """The names of service users, and when their keys expire."""
    for item in items:
        name = item.name or item.service_user_id
        yield SERVICE_USER_INFO(1, service_user_id=item.service_user_id, service_user_name=name)
        if item.expires_at is not None:
            yield SERVICE_USER_EXPIRY(
                seconds(item.expires_at), service_user_id=item.service_user_id
            )


def user_samples(items: Iterable[Member], policy: UserPolicy) -> Iterator[Sample]:
    """Names and memberships of the users that may be shown and have their own series."""
    if not policy.shows_ids:
        return
    users: dict[str, list[Member]] = {}
    for item in items:
        if policy.own(item.user_id):
            users.setdefault(item.user_id, []).append(item)
    for user_id, members in users.items():
        email = next((member.email for member in members if member.email), "")
        name = next((member.name for member in members if member.name), "")
        if policy.mode == "full":
            yield USER_INFO(1, user_id=user_id, user_email=email, user_name=name)
        for org_id in sorted(frozenset().union(*(member.org_ids() for member in members))):
            yield MEMBER_INFO(1, org_id=org_id, user_id=user_id)
