"""ACUs by enterprise, organization and user, and their limits."""
