"""ACUs of sessions by tag, repository, origin, playbook and automation."""
