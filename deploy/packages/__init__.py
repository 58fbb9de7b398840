"""Packages for Debian and for Red Hat's family."""
