"""The dashboards, a module or a package each, and the panel of alerts that two of them share."""
