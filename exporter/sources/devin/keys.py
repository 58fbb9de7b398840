"""The kinds of keys, and the names of the permissions that a key may hold."""

ENTERPRISE = "enterprise"
ORGANIZATION = "organization"
ANY: frozenset[str] = frozenset()
ENTERPRISE_ONLY = frozenset({ENTERPRISE})
ORGANIZATION_ONLY = frozenset({ORGANIZATION})

VIEW_METRICS = "ViewAccountMetrics"
VIEW_CONSUMPTION = "ViewAccountConsumption (older name: ManageBilling)"
VIEW_MEMBERSHIP = "ViewAccountMembership (older name: ManageAccountMembership)"
VIEW_SESSIONS = "ViewAccountSessions"
MANAGE_ORGANIZATIONS = "ManageOrganizations"
VIEW_INFRASTRUCTURE = "ViewEnterpriseInfraDetails"
VIEW_CODE_SCANS = "ViewAccountCodeScans"
VIEW_ORG_AUTOMATIONS = "ViewOrgAutomations"
VIEW_ORG_CONSUMPTION = "ViewOrgConsumption (older name: ManageBilling)"
VIEW_ORG_MEMBERSHIP = "ViewOrgMembership"
VIEW_ORG_SESSIONS = "ViewOrgSessions"

NOT_HERE = "not on this deployment"
"""Why it is no failure if an endpoint of dedicated deployments is absent."""
