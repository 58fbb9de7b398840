"""The repository of a pull request, from its address. Pure."""

import re
from urllib.parse import SplitResult, urlsplit

from exporter.exposition.text import as_word

UNKNOWN = "unknown"
"""The repository of an address that does not show one; no repository is called so."""

_PULL_REQUEST = re.compile(
    r"/(?:-/merge_requests|merge_requests|pulls?|pull-requests|pullrequests?)(?=/|$)"
)
_OF_A_PROJECT = re.compile(r"/(?:projects|users)/([^/]+)/repos/([^/]+)$")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def repository_of(address: str) -> str:
    """`host/owner/name` of a pull request, or `unknown`.

    The host is in lower case. Credentials, query and a final `.git` are left out; a group within a
    group stays.
    """
    try:
        parts = urlsplit(address.strip())
        host = _host(parts)
    except ValueError:
        return UNKNOWN
    *_, pull_request = (None, *_PULL_REQUEST.finditer(parts.path))
    if not host or pull_request is None:
        return UNKNOWN
    names = _names(parts.path[: pull_request.start()])
    if len(names) < 2:  # noqa: PLR2004 - owner and name
        return UNKNOWN
    return as_word("/".join((host, *names)))


def _host(parts: SplitResult) -> str:
    """The host, with its port unless that is the usual one. Raises `ValueError`."""
    host = (parts.hostname or "").rstrip(".")
    port = parts.port
    return host if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"


def _names(path: str) -> list[str]:
    """Owner and name, and groups between them, from the path of a repository."""
    of_a_project = _OF_A_PROJECT.search(path)
    names = [*of_a_project.groups()] if of_a_project else path.split("/")
    names = [name.removesuffix(".git") for name in names if name != "_git"]
    return [name for name in names if name]
