"""Random changes to a JSON answer, and damage to its bytes: near what is documented, but not it."""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass
class Branch:
    """An object or a list of JSON; `parts` are its values, each behind its key or behind ''."""

    opening: str
    parts: list[tuple[str, "Node"]]
    closing: str


Node = str | Branch
"""A part of a JSON text: one token, or a branch of them."""


def grown(value: object) -> Node:
    """A JSON value as a tree."""
    return branch_of(value) if isinstance(value, dict | list) else json.dumps(value)


def branch_of(value: object) -> Branch:
    """An object or a list as a tree."""
    if isinstance(value, dict):
        members = [(f"{json.dumps(key)}:", grown(item)) for key, item in value.items()]
        return Branch("{", members, "}")
    assert isinstance(value, list)
    return Branch("[", [("", grown(item)) for item in value], "]")


def written(node: Node) -> str:
    """The text of a tree."""
    if isinstance(node, str):
        return node
    parts = ",".join(before + written(part) for before, part in node.parts)
    return node.opening + parts + node.closing


def places(branch: Branch) -> Iterator[tuple[Branch, int]]:
    """Every place below a branch."""
    for index, (_, part) in enumerate(branch.parts):
        yield branch, index
        if isinstance(part, Branch):
            yield from places(part)


def _replace(branch: Branch, index: int, token: str) -> None:
    branch.parts[index] = branch.parts[index][0], token


def _drop(branch: Branch, index: int, _: str) -> None:
    del branch.parts[index]


def _repeat(branch: Branch, index: int, _: str) -> None:
    branch.parts.insert(index, branch.parts[index])


def _contradict(branch: Branch, index: int, token: str) -> None:
    branch.parts.append((branch.parts[index][0], token))


def _swap(branch: Branch, index: int, _: str) -> None:
    other = (index + 1) % len(branch.parts)
    (key, part), (other_key, other_part) = branch.parts[index], branch.parts[other]
    branch.parts[index], branch.parts[other] = (key, other_part), (other_key, part)


def _rename(branch: Branch, index: int, token: str) -> None:
    key, part = branch.parts[index]
    if key:
        branch.parts[index] = f"{as_key(token)}:", part


def _add(branch: Branch, index: int, token: str) -> None:
    key = f"{as_key(token)}:" if branch.parts[index][0] else ""
    branch.parts.insert(index, (key, token))


def _wrap(branch: Branch, index: int, token: str) -> None:
    key, part = branch.parts[index]
    depth = len(token)
    branch.parts[index] = key, f"{'[' * depth}{written(part)}{']' * depth}"


def _empty(branch: Branch, index: int, _: str) -> None:
    _, part = branch.parts[index]
    if isinstance(part, Branch):
        part.parts.clear()


def as_key(token: str) -> str:
    """A token as the name of a member."""
    return token if token.startswith('"') else json.dumps(token)


Change = Callable[[Branch, int, str], None]
CHANGES: tuple[Change, ...] = (
    *[_replace] * 7,
    _drop,
    *[_repeat] * 2,
    _contradict,
    *[_swap] * 2,
    _rename,
    _add,
    _wrap,
    _empty,
)

NUMBERS = (
    *("0", "1", "2", "7", "60", "1000") * 5,
    *("0.5", "-0", "-0.0", "-1", "-1.5", "1e3", "1e-320"),
    *("1e308", "-1e308", "1e309", "NaN", "Infinity", "-Infinity", f"1e{'9' * 40}"),
    *("9" * 30, "9" * 5_000, f"-{'9' * 5_000}", str(10**15), str(10**15 + 1), str(10**18)),
    *(str(2**bits + more) for bits in (31, 53, 63, 64) for more in (-1, 0, 1)),
)
# Now, tomorrow, now in milliseconds, the years 1, 1970 and 10,000, what is no longer in seconds.
MOMENTS = (
    *("1774017000", "1774103400", "1773993600", "1773907200", "1774017000000") * 4,
    *("-62135596800", "0", "1", "-1", "1e9", "1.5"),
    *("253402300799", "253402300800", "253402300799999", "253402300800000", "9" * 5_000),
    *(str(10**digits + more) for digits in (11, 12, 15) for more in (0, 1)),
)
STRINGS = (
    *('""', '""', '""', '" "', '"0"', '"-1"', '"1e5"', '"1,234.5"', '"12%"', '"NaN"'),
    *('"other"', '"unknown"', '"enterprise"', '"org"', '"user"', '"normal"', '"sufficient"'),
    *('"devin-"', '"devin"', '"review"', '"org-1"', '"email|ada"', '"next"', '"."', '".."'),
    *(r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', '"\ud800"', '"\u00fc"', '"\u2028\x85"'),
    *(r'"\u0000"', r'"\r\n"', '"\x01"', r'"a\"b\\"', r'"\\"', r'"\n"', r'"\\n"', r'"a\",b=\"c"'),
    *('"}"', '"{"', '"# TYPE a gauge"', '"a/../b"', '"%2e"'),
    *(f'"{"9" * 5_000}"', f'"{"x" * 70_000}"'),
)
DATES = (
    *('"2026-03-20"', '"2026-03-19"', '"2026-02-30"', '"0000-00-00"', '"2026-3-1"', '"20260320"'),
    *('"2026-03-20 23:25:00+24:00"', '"2026-02-30 00:00:00"', '"2026-03-20 24:00:00"', '""'),
    *('"0001-01-01 00:00:00+23:59"', '"9999-12-31T23:59:59Z"', '"9999-12-31 23:59:59-23:59"'),
)
OTHERS = ("null", "true", "false", "{}", "[]", "[null]", '{"":[]}', "nul", "", "00", "'a'", '"open')

KINDS = tuple(
    (re.compile(pattern), tokens)
    for pattern, tokens in (
        ('"[0-9]{4}-', DATES),
        ('"', STRINGS),
        ("[0-9]{10}", MOMENTS),
        ("-?[0-9]", NUMBERS),
        ("null", (*STRINGS, *NUMBERS)),
        ("", OTHERS),
    )
)


def kind_of(part: Node) -> tuple[str, ...]:
    """Odd tokens like the one that stands in a place."""
    text = part if isinstance(part, str) else ""
    return next(tokens for pattern, tokens in KINDS if pattern.match(text))


def token(chance: random.Random, part: Node, parts: Iterable[Node]) -> str:
    """What may stand in the place of a part, beside these others."""
    kind = kind_of(part)
    others = [other for other in parts if isinstance(other, str) and kind_of(other) is kind]
    integer, number = chance.randint(-10, 10**6), chance.gauss(0, 1) * 10 ** chance.randint(-9, 99)
    text = "".join(chr(chance.randrange(2 ** chance.randint(5, 16))) for _ in range(integer % 6))
    everything = (*OTHERS, *NUMBERS, *MOMENTS, *STRINGS, *DATES)
    invented = (str(integer), json.dumps(number), json.dumps(text))
    (pool,) = chance.choices((others or kind, kind, everything, invented), (4, 4, 1, 1))
    return chance.choice(pool)


Damage = Callable[[bytes, int], bytes]


def _cut(body: bytes, place: int) -> bytes:
    return body[: place % (len(body) + 1)]


def _no_text(body: bytes, place: int) -> bytes:
    at_byte = place % (len(body) + 1)
    return body[:at_byte] + bytes([place % 256]) + body[at_byte:]


def _marked(body: bytes, _: int) -> bytes:
    return b"\xef\xbb\xbf" + body


def _trailed(body: bytes, place: int) -> bytes:
    return body + (b"\n\n", b"\x00", b"{}", b",", b"\xff")[place % 5]


def _encoded(body: bytes, place: int) -> bytes:
    encoding = ("utf-16", "utf-16-be", "utf-32", "utf-7", "cp037")[place % 5]
    return body.decode(errors="replace").encode(encoding, errors="replace")


def _another(_: bytes, place: int) -> bytes:
    return (b"<html>sign in</html>", b"null", b"{}", b"[]", b'"items"', b"0", b"")[place % 7]


DAMAGED = 0.08
DAMAGES: tuple[Damage, ...] = (_cut, _no_text, _marked, _trailed, _encoded, _another)


def mutated(answer: object, seed: int) -> bytes:
    """The bytes of an answer after random changes; 0 for none."""
    chance = random.Random(seed)
    root = branch_of(answer)
    for _ in range(chance.choice((1, 1, 1, 2, 3)) if seed else 0):
        found = list(places(root))
        if found:
            branch, index = chance.choice(found)
            parts = (each.parts[at_index][1] for each, at_index in found)
            change = chance.choice(CHANGES)
            change(branch, index, token(chance, branch.parts[index][1], parts))
    body = written(root).encode("utf-8", "surrogatepass")
    damaged = seed and chance.random() < DAMAGED
    return chance.choice(DAMAGES)(body, chance.randrange(2**16)) if damaged else body
