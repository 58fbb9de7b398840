"""What the ACUs of a session are counted under. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.sources.devin.operations.breakdowns.repository import repository_of
from exporter.sources.devin.operations.session_items import SessionItem

NONE = ""
"""The label value of sessions without a tag, repository, origin, playbook or automation."""

REPOSITORY = "repository"
DIMENSIONS = ("tag", REPOSITORY, "origin", "playbook", "automation")
WRITTEN = frozenset({"tag", REPOSITORY})
"""The dimensions whose values people have named, and which may therefore name people."""

OTHER = "other"
UNEXPLAINED = "unexplained"

MOST_VALUES = 50
"""The tags or pull requests of one session that are distinguished; `other` stands for the rest."""


@dataclass(frozen=True, slots=True)
class SessionLabels:
    """The values of one session in each dimension; several share its ACUs in equal parts.

    Attributes:
        by_dimension: in the order of `DIMENSIONS`.
        pull_requests: the repository (empty where these are not shown) and the state of each.
    """

    by_dimension: tuple[tuple[str, ...], ...]
    pull_requests: tuple[tuple[str, str], ...]

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories of its pull requests."""
        return self.by_dimension[DIMENSIONS.index(REPOSITORY)]


def labels_of(item: SessionItem, *, written: bool) -> SessionLabels:
    """The labels of a session.

    Args:
        written: whether with tags and repositories, which people have named.
    """
    requests = {each.pr_url: each.pr_state or "" for each in item.pull_requests or ()}
    named = [(repository_of(url) if written else NONE, state) for url, state in requests.items()]
    pull_requests = tuple(
        (repository if place < MOST_VALUES or not written else OTHER, state)
        for place, (repository, state) in enumerate(named)
    )
    by_dimension = (
        _values(item.tags or () if written else ()),
        _values(repository for repository, _ in pull_requests),
        _values([item.origin or NONE]),
        _values([item.playbook_id or NONE]),
        _values([item.automation_id or NONE]),
    )
    return SessionLabels(by_dimension, pull_requests)


def _values(texts: Iterable[str]) -> tuple[str, ...]:
    """Each value once, in order; the value of sessions without any if there is none."""
    values = sorted({OTHER if text == UNEXPLAINED else text for text in texts})
    if len(values) > MOST_VALUES:
        values = [*values[:MOST_VALUES], OTHER]
    return tuple(values) or (NONE,)
