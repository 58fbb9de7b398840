"""Response models and endpoints of the lists of organizations, users and service users."""

from dataclasses import replace
from itertools import chain
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.client.endpoint import Endpoint
from exporter.client.models import Acus, Array, Id, ListPage, ResponseModel, Timestamp
from exporter.exposition.text import Name, Word
from exporter.sources.devin import keys


class Organization(ResponseModel):
    """The fields read of `GET /v3/enterprise/organizations`."""

    org_id: Id
    name: Name | None = None
    created_at: Timestamp | None = None
    max_cycle_acu_limit: Annotated[Acus, Field(ge=0)] | None = None
    max_session_acu_limit: Annotated[Acus, Field(ge=0)] | None = None


class RoleAssignment(ResponseModel):
    """The organization that a role is held in; None for the enterprise."""

    org_id: str | None = None


class GroupAssignment(RoleAssignment):
    """A role that is held through a group of the identity provider."""

    idp_group_name: Word | None = None


class Member(ResponseModel):
    """The fields read of a user, in both lists.

    Attributes:
        names_left_out: whether e-mail and name were left out of what was kept; never in a response.
    """

    user_id: Id
    email: Name | None = None
    name: Name | None = None
    role_assignments: Array[RoleAssignment] | None = None
    idp_role_assignments: Array[GroupAssignment] | None = None
    names_left_out: bool = False

    def org_ids(self) -> frozenset[str]:
        """The organizations that the user has a role in."""
        roles = chain(self.role_assignments or (), self.idp_role_assignments or ())
        return frozenset(role.org_id for role in roles if role.org_id)

    def without_names(self) -> "Member":
        """The same member without e-mail and name."""
        return self.model_copy(update={"email": None, "name": None, "names_left_out": True})

    def groups(self) -> frozenset[str] | None:
        """The groups that the user has a role through; None if one has no name."""
        names = [role.idp_group_name for role in self.idp_role_assignments or ()]
        return frozenset(name for name in names if name) if all(names) else None


class ServiceUser(ResponseModel):
    """The fields read of `GET /v3/enterprise/members/service-users`."""

    service_user_id: Id
    name: Name | None = None
    expires_at: Timestamp | None = None


ORGANIZATIONS_BY_ID = TypeAdapter(dict[str, Organization])
MEMBERS_BY_ID = TypeAdapter(dict[str, Member])
SERVICE_USERS_BY_ID = TypeAdapter(dict[str, ServiceUser])

ORGANIZATIONS = Endpoint(
    path="/v3/enterprise/organizations",
    response=TypeAdapter(ListPage[Organization]),
    feeds="organizations",
    permission=keys.MANAGE_ORGANIZATIONS,
    keys=keys.ENTERPRISE_ONLY,
)
USERS = Endpoint(
    path="/v3/enterprise/members/users",
    response=TypeAdapter(ListPage[Member]),
    feeds="users",
    permission=keys.VIEW_MEMBERSHIP,
    keys=keys.ENTERPRISE_ONLY,
)
IDP_USERS = replace(USERS, path="/v3/enterprise/members/idp-users")
SERVICE_USERS = Endpoint(
    path="/v3/enterprise/members/service-users",
    response=TypeAdapter(ListPage[ServiceUser]),
    feeds="service users",
    permission=keys.VIEW_MEMBERSHIP,
    keys=keys.ENTERPRISE_ONLY,
)
ORG_USERS = replace(
    USERS,
    path="/v3beta1/organizations/{org_id}/members/users",
    feeds="users, else those of sessions",
    permission=keys.VIEW_ORG_MEMBERSHIP,
    keys=keys.ORGANIZATION_ONLY,
    optional="users of recent sessions stand in",
)
ALL_USERS = (USERS, IDP_USERS, ORG_USERS)
ENDPOINTS = (ORGANIZATIONS, *ALL_USERS, SERVICE_USERS)
