"""What may be published about users: whether, under which label, and for how many.

Users beyond the limit are summed into `other`. They are chosen once a billing day, by their use
in the running and the previous cycle.
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel

from exporter.config.credentials import Key
from exporter.errors import CredentialError
from exporter.scheduling.kept import Entry, Kept

Mode = Literal["off", "hash", "id", "full"]

OTHER = "other"
HASH_DIGITS = 16


class _Ranking(BaseModel):
    """Who has series of their own within a limit, and the billing day of that decision."""

    limit: int
    all_fit: bool
    own: list[str] | None
    ranked_on: int | None


class UserPolicy:
    """Decides which label users get.

    Args:
        key: the key of the hashes; required in mode `hash`.
        limit: the most users with their own series.
    """

    def __init__(self, mode: Mode, *, key: Key | None, limit: int) -> None:
        self.mode = mode
        self._key = key
        self.limit = limit
        self._last_key = b""
        self._all_fit = False
        self._own: frozenset[str] | None = None
        self._ranked_on: int | None = None

    @property
    def shows_ids(self) -> bool:
        """Whether ids may be published as they are."""
        return self.mode in {"id", "full"}

    def listed(self, user_ids: Iterable[str]) -> None:
        """Record all users. If they all fit within the limit, no ranking is needed."""
        self._all_fit = len(frozenset(user_ids)) <= self.limit

    def rank(self, use: Mapping[str, float], *, day: int) -> None:
        """Decide which users have their own series, once per billing day.

        Args:
            use: ACUs of the running and the previous cycle, for all users.
            day: the billing day's number.
        """
        self.listed(use)
        if not self._all_fit and self._ranked_on != day:
            ranked = sorted(use, key=lambda user_id: (-use[user_id], user_id))
            self._own = frozenset(ranked[: self.limit])
            self._ranked_on = day

    def own(self, user_id: str) -> bool:
        """Whether a user has their own series."""
        if self.mode == "off":
            return False
        return self._all_fit or (self._own is not None and user_id in self._own)

    @property
    def decided(self) -> bool:
        """Whether it is decided which users have their own series."""
        return self._all_fit or self._own is not None

    def label(self, user_id: str) -> str:
        """The label value of a user: the id or its hash, `other`, or empty if undecided.

        Raises:
            CredentialError: if the key of the hashes could never be read.
        """
        if self.mode == "off" or not self.decided:
            return ""
        if not self.own(user_id):
            return OTHER
        if self.mode != "hash":
            return user_id
        return hmac.new(self._hash_key(), user_id.encode(), sha256).hexdigest()[:HASH_DIGITS]

    def kept(self) -> Kept:
        """The ranking, so that a restart does not change who has series."""

        def entries() -> Mapping[str, Entry]:
            own = None if self._own is None else sorted(self._own)
            ranking = _Ranking(
                limit=self.limit, all_fit=self._all_fit, own=own, ranked_on=self._ranked_on
            )
            version = (self._all_fit, self._own, self._ranked_on)
            return {"ranking": Entry(version, lambda: ranking.model_dump_json().encode())}

        def restore(values: Mapping[str, bytes]) -> None:
            for value in values.values():
                ranking = _Ranking.model_validate_json(value)
                if ranking.limit == self.limit:
                    self._all_fit, self._ranked_on = ranking.all_fit, ranking.ranked_on
                    self._own = None if ranking.own is None else frozenset(ranking.own)

        return Kept(name="user_ranking", entries=entries, restore=restore)

    def _hash_key(self) -> bytes:
        """The current key, or the last one while its file cannot be read."""
        if self._key is not None:
            try:
                self._last_key = self._key().encode()
            except CredentialError:
                if not self._last_key:
                    raise
        return self._last_key
