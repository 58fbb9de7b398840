"""The Helm chart's generated files, and the texts that are rendered from it."""
