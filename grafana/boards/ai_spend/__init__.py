"""AI spend: Devin beside the AIone gateway."""
