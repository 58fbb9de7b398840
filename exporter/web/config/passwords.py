"""Checks passwords against their bcrypt hashes, and remembers those that were right.

bcrypt is slow on purpose. A right password is therefore remembered, by a hash with a key of this
process, so that only the first request with it waits. A wrong one is not remembered: to try many
is as slow as bcrypt is.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import bcrypt

MOST_REMEMBERED = 128
_MOST_BYTES = 72
"""bcrypt ignores what follows."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password as a request has them."""

    user: str
    password: bytes = field(repr=False)


def credentials_of(authorization: str) -> Credentials | None:
    """Parse an `Authorization` header; None if it is not HTTP Basic."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
        user, colon, password = decoded.partition(b":")
        return Credentials(user.decode("utf-8"), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


class Passwords:
    """Checks credentials against users and their hashes. Every hash may change at any time."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}

    def remembered(self, users: Mapping[str, str], given: Credentials) -> bool:
        """Whether this password was right before, for the hash that the user has now."""
        expected = users.get(given.user)
        return expected is not None and self._digest(expected, given) in self._right

    def verify(self, users: Mapping[str, str], given: Credentials) -> bool:
        """Whether the password is right. It takes as long as bcrypt; so it does for unknown users.

        Args:
            users: bcrypt hashes by name; not empty.
        """
        expected = users.get(given.user)
        compared = self._decoy(users, given.user) if expected is None else expected
        right = _matches(given.password, compared)
        if not right or expected is None:
            return False
        if len(self._right) >= MOST_REMEMBERED:
            self._right.clear()
        self._right[self._digest(expected, given)] = None
        return True

    def _decoy(self, users: Mapping[str, str], user: str) -> str:
        """The hash of some user, always the same for one name, so that its cost shows nothing."""
        digest = hmac.digest(self._key, user.encode("utf-8", "surrogatepass"), hashlib.sha256)
        hashes = sorted(users.values())
        return hashes[int.from_bytes(digest, "big") % len(hashes)]

    def _digest(self, expected: str, given: Credentials) -> bytes:
        parts = (given.user.encode("utf-8", "surrogatepass"), expected.encode(), given.password)
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)


def _matches(password: bytes, expected: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_MOST_BYTES], expected.encode())
    except ValueError:
        return False
