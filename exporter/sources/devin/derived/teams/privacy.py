"""Which rows may be shown so that no arithmetic on them is about fewer users than a minimum.

All users are one crowd at first, as their total is known. A row that is shown splits each crowd
into those in the row and those who are not. It may be shown if every crowd that is left has the
minimum or more. Any sum or difference of rows treats the members of a crowd alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet


class Crowds:
    """The users who cannot be distinguished by the rows that are shown.

    Args:
        users: all of them.
        least: the smallest size of a crowd.
        left: those who have left. They do not count towards the minimum, but stay in their crowd.
    """

    def __init__(
        self, users: Iterable[str], *, least: int, left: AbstractSet[str] = frozenset()
    ) -> None:
        self._crowd_of = dict.fromkeys(users, 0)
        self._sizes = Counter({0: len(self._crowd_of)})
        self._gone = Counter({0: len(left)})
        self._left = left
        self._least = least

    def show(self, users: AbstractSet[str]) -> bool:
        """Split the crowds by a row if they stay large enough; returns whether they do."""
        inside = Counter(self._crowd_of[user] for user in users)
        gone = Counter(self._crowd_of[user] for user in users & self._left)
        for crowd, count in inside.items():
            outside = self._sizes[crowd] - count
            listed_outside = outside - (self._gone[crowd] - gone[crowd])
            if count - gone[crowd] < self._least or (outside and listed_outside < self._least):
                return False
        split = [crowd for crowd, count in inside.items() if count < self._sizes[crowd]]
        new = {crowd: len(self._sizes) + number for number, crowd in enumerate(split)}
        for user in users:
            crowd = self._crowd_of[user]
            if crowd in new:
                self._crowd_of[user] = new[crowd]
        for crowd, number in new.items():
            self._sizes[number] = inside[crowd]
            self._sizes[crowd] -= inside[crowd]
            self._gone[number] = gone[crowd]
            self._gone[crowd] -= gone[crowd]
        return True


def labels_of(
    rows: Mapping[str, AbstractSet[str]], crowds: Crowds, *, other: str
) -> dict[str, str | None]:
    """The label of each row: its own name, or that of the sum of the rest.

    The largest rows are tried first. The rest has no label where even its sum cannot be shown. A
    row without users keeps its name.

    Args:
        rows: users by name.
        other: the name of the rest; a row of that name is part of it.
    """
    rest: set[str] = set()
    summed: list[str] = []
    for name, users in sorted(rows.items(), key=lambda row: (-len(row[1]), row[0])):
        if name == other or (users and not crowds.show(users)):
            rest |= users
            summed.append(name)
    label = other if crowds.show(rest) else None
    return {**{name: name for name in rows}, **dict.fromkeys(summed, label)}
