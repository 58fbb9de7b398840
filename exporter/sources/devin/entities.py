"""Organizations, users and service users as the API's lists tell them."""

from itertools import chain
from typing import Annotated

from pydantic import Field, TypeAdapter

from exporter.shapes import ApiModel, Page
from exporter.sources.devin.fields import Acus, Id, Timestamp
from exporter.texts import Name


class Organization(ApiModel):
    """The fields read of `GET /v3/enterprise/organizations`."""

    org_id: Id
    name: Name
    created_at: Timestamp | None = None
    max_cycle_acu_limit: Annotated[Acus, Field(ge=0)] | None = None
    max_session_acu_limit: Annotated[Acus, Field(ge=0)] | None = None


class RoleAssignment(ApiModel):
    """The organization that a role is held in; None for the enterprise."""

    org_id: str | None = None


class Member(ApiModel):
    """The fields read of both lists of users."""

    user_id: Id
    email: Name | None = None
    name: Name | None = None
    role_assignments: tuple[RoleAssignment, ...] = ()
    idp_role_assignments: tuple[RoleAssignment, ...] = ()

    def org_ids(self) -> frozenset[str]:
        """The organizations that this list puts the user in."""
        roles = chain(self.role_assignments, self.idp_role_assignments)
        return frozenset(role.org_id for role in roles if role.org_id)


class ServiceUser(ApiModel):
    """The fields read of `GET /v3/enterprise/members/service-users`."""

    service_user_id: Id
    name: Name
    expires_at: Timestamp | None = None


ORGANIZATION_SHAPE = TypeAdapter(Page[Organization])
MEMBER_SHAPE = TypeAdapter(Page[Member])
SERVICE_USER_SHAPE = TypeAdapter(Page[ServiceUser])
