"""Cost: the cycle, and its table by organization."""
