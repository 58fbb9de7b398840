"""The dashboards, one module each, and the panels that two or more of them share."""
