"""Sessions, queue, hypervisors, guardrails."""
