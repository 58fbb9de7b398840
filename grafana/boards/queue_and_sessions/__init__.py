"""Queue and sessions, and what dedicated deployments have."""
