"""Adoption: active users, what the cycle has brought, automations and code scans."""
