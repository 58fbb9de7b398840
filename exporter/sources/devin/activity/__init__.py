"""Active users, sessions created, pull requests, searches, categories."""
