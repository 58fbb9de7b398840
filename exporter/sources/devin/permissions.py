"""Which permission of a key opens which endpoint, by its newest and its older name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission; `older` is None where it has had one name only."""

    name: str
    older: str | None
    prefix: str

    def __str__(self) -> str:
        """Show both names."""
        return f"{self.name} (older name: {self.older})" if self.older else self.name


_ORGANIZATION = "/v3/organizations/{org_id}/"
PERMISSIONS = (
    Permission("ViewAccountMetrics", None, "/v3/enterprise/metrics/"),
    Permission("ViewAccountMetrics", None, "/v3/enterprise/queue"),
    Permission("ViewAccountConsumption", "ManageBilling", "/v3/enterprise/consumption/"),
    Permission("ViewAccountMembership", "ManageAccountMembership", "/v3/enterprise/members/"),
    Permission("ViewAccountSessions", None, "/v3/enterprise/sessions"),
    Permission("ManageOrganizations", None, "/v3/enterprise/organizations"),
    Permission("ViewEnterpriseInfraDetails", None, "/v3/enterprise/hypervisors"),
    Permission("ViewAccountMetrics", None, f"{_ORGANIZATION}metrics/"),
    Permission("ViewOrgConsumption", "ManageBilling", f"{_ORGANIZATION}consumption/"),
    Permission("ViewOrgSessions", None, f"{_ORGANIZATION}sessions"),
    Permission("ViewOrgMembership", None, "/v3beta1/organizations/{org_id}/members/"),
)


def permission_of(endpoint: str) -> str | None:
    """The names of the permission that opens an endpoint (its template)."""
    for permission in PERMISSIONS:
        if endpoint.startswith(permission.prefix):
            return str(permission)
    return None
