"""Which team or owner group somebody belongs to: shell-style patterns, the first match wins."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence

from exporter.sources.devin.derived.teams.document import Document, Rule

_WILDCARDS = frozenset("*?[")
_ANY_OF_DOMAIN = "*@"


class _Patterns:
    """Patterns with their places in a list; finds the first that matches a text."""

    def __init__(self, patterns: Iterable[tuple[int, str]]) -> None:
        self._exact: dict[str, int] = {}
        self._domains: dict[str, int] = {}
        self._others: list[tuple[int, re.Pattern[str]]] = []
        for place, pattern in patterns:
            rest = pattern.removeprefix(_ANY_OF_DOMAIN)
            if _WILDCARDS.isdisjoint(pattern):
                self._exact.setdefault(pattern, place)
            elif rest != pattern and _WILDCARDS.isdisjoint(rest) and "@" not in rest:
                self._domains.setdefault(rest, place)
            else:
                self._others.append((place, re.compile(fnmatch.translate(pattern))))

    def places(self, text: str) -> Iterator[int]:
        """The places of patterns that match; the first one is among them."""
        if text in self._exact:
            yield self._exact[text]
        _, at, domain = text.rpartition("@")
        if at and domain in self._domains:
            yield self._domains[domain]
        for place, pattern in self._others:
            if pattern.match(text):
                yield place
                return


class TeamMap:
    """The rules of a teams file. Addresses are compared in any case, ids and groups exactly."""

    def __init__(self, document: Document) -> None:
        self._rules = document.rules
        places = list(enumerate(document.rules))
        self._ids: dict[str, int] = {}
        for place, rule in places:
            if rule.kind == "user":
                self._ids.setdefault(rule.pattern, place)
        self._emails = _Patterns((p, r.pattern.lower()) for p, r in places if r.kind == "email")
        self._groups = _Patterns((p, r.pattern) for p, r in places if r.kind == "group")
        self.reads_emails = any(rule.kind == "email" for rule in document.rules)
        self.reads_groups = any(rule.kind == "group" for rule in document.rules)
        self._by_email: dict[str, tuple[int, ...]] = {}
        self._by_group: dict[str, tuple[int, ...]] = {}

    def rule_for(self, entity: str, *, email: str = "", groups: Iterable[str] = ()) -> Rule | None:
        """The first rule that matches an id, an address or one of some groups."""
        places = [self._ids[entity]] if entity in self._ids else []
        if email:
            places += _remembered(self._by_email, self._emails, email.lower())
        for group in groups:
            places += _remembered(self._by_group, self._groups, group)
        return self._rules[min(places)] if places else None

    def team_of(self, entity: str, *, email: str = "", groups: Iterable[str] = ()) -> str:
        """The team of that rule; empty if there is none."""
        rule = self.rule_for(entity, email=email, groups=groups)
        return rule.team if rule else ""


def _remembered(
    known: dict[str, tuple[int, ...]], patterns: _Patterns, text: str
) -> tuple[int, ...]:
    """The places of a text's patterns, which are looked for once."""
    if text not in known:
        known[text] = tuple(patterns.places(text))
    return known[text]


class OwnerGroups:
    """The patterns of owner groups."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = _Patterns(enumerate(patterns))
        self._known: dict[str, tuple[int, ...]] = {}

    def owner_of(self, groups: Iterable[str]) -> str:
        """The group that the first pattern matches, by name if there are several; else empty."""
        owners = [
            (min(places), group)
            for group in groups
            if (places := _remembered(self._known, self._patterns, group))
        ]
        return min(owners)[1] if owners else ""
