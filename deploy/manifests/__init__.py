"""The generated files of the Helm chart and for the Prometheus operator."""
