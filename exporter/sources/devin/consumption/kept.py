"""Ledgers and comparisons as bytes, so that they outlive the process."""

import math
import sys
from array import array
from collections.abc import Iterator, Mapping
from functools import partial

from pydantic import BaseModel, ConfigDict, TypeAdapter

from exporter.scheduling.kept import Entry, Kept
from exporter.sources.devin.consumption.ledger import Ledger
from exporter.sources.devin.consumption.parts import Parts
from exporter.sources.devin.consumption.usage import EntityUsage

WHOLE = ""
"""The key of what is not about one entity."""

NUMBER_BYTES = 8


class _Header(BaseModel):
    """What stands before the numbers of a response."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    requested_at: float
    first_day: int
    days: int
    products: tuple[str, ...]
    newest_day: int | None
    moved_at: float | None = None
    attempted_at: float | None = None
    closed_days_at: float | None = None


class _Comparison(BaseModel):
    """When a ledger was last compared with a total, and requests for those never read failed."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    compared_at: float | None
    searched_at: float | None = None
    searched_since: float | None = None
    confirmed_at: float | None
    unread: dict[str, float] = {}


_ACCEPTED = TypeAdapter(list[tuple[str, int, float]], config=ConfigDict(allow_inf_nan=False))


def encode_usage(
    account: EntityUsage, moved_at: float | None = None, attempted_at: float | None = None
) -> bytes:
    """A response as bytes, with when its entity has moved, and was requested in vain since."""
    header = _Header(
        requested_at=account.requested_at,
        first_day=account.days.start,
        days=len(account.days),
        products=tuple(account.products),
        newest_day=account.newest_day,
        moved_at=moved_at,
        attempted_at=attempted_at,
        closed_days_at=None if account.closed_days_at == math.inf else account.closed_days_at,
    )
    columns = (_little_endian(column).tobytes() for column in account.products.values())
    return header.model_dump_json().encode() + b"\n" + b"".join(columns)


def decode_usage(value: bytes) -> tuple[EntityUsage, float | None, float | None]:
    """A response from its bytes, with when its entity has moved, and was requested in vain since.

    Raises:
        ValueError: if they are damaged.
    """
    line, _, numbers = value.partition(b"\n")
    header = _Header.model_validate_json(line)
    size = header.days * NUMBER_BYTES
    if len(numbers) != size * len(header.products):
        raise ValueError("a response is cut off")
    products: dict[str, array[float]] = {}
    for place, product in enumerate(header.products):
        column = _little_endian(array("d", numbers[place * size : (place + 1) * size]))
        if not math.isfinite(sum(column)):
            raise ValueError("a number is not finite")
        products[product] = column
    days = range(header.first_day, header.first_day + header.days)
    # Up to format 3, each response was for all days.
    closed_days_at = math.inf if header.closed_days_at is None else header.closed_days_at
    usage = EntityUsage(
        header.requested_at, days, products, header.newest_day, closed_days_at=closed_days_at
    )
    return usage, header.moved_at, header.attempted_at


def _little_endian(column: "array[float]") -> "array[float]":
    if sys.byteorder == "big":  # pragma: no cover - the bytes are the same on every machine
        column = array("d", column)
        column.byteswap()
    return column


def of_ledger(name: str, ledger: Ledger, parts: Parts | None) -> Iterator[Kept]:
    """All that is kept of a ledger, and of the comparison if it is the first of the parts."""
    # A poll may conclude meanwhile: its confirmation must not be kept beside responses that are
    # older than it, while newer responses do no harm to an older confirmation.
    yield _comparison(f"{name}_compared", ledger)
    yield _responses(name, ledger)
    if parts is not None and parts.ledgers[0] is ledger:
        yield _differences(f"{name}_differences", parts)


def _responses(name: str, kept: Ledger) -> Kept:
    """The responses of a ledger."""

    def entries() -> Mapping[str, Entry]:
        moved, attempted = kept.moved(), kept.attempts.ended()
        found: dict[str, Entry] = {}
        for entity, account in kept.accounts().items():
            moved_at, attempted_at = moved.get(entity), attempted.get(entity)
            if attempted_at == account.requested_at:
                attempted_at = None
            found[entity] = Entry(
                (account.requested_at, moved_at, attempted_at),
                partial(encode_usage, account, moved_at, attempted_at),
            )
        return found

    def restore(values: Mapping[str, bytes]) -> None:
        decoded = {entity: decode_usage(value) for entity, value in values.items()}
        kept.restore(
            {entity: usage for entity, (usage, _, _) in decoded.items()},
            {entity: at for entity, (_, at, _) in decoded.items() if at is not None},
            {entity: at for entity, (_, _, at) in decoded.items() if at is not None},
        )

    return Kept(name=name, entries=entries, restore=restore)


def _comparison(name: str, kept: Ledger) -> Kept:
    """When a ledger was compared with a total, and those never read were last requested."""

    def entries() -> Mapping[str, Entry]:
        attempted = kept.attempts.ended()
        accounts = kept.accounts()
        value = _Comparison(
            compared_at=_finite(kept.compared_at),
            searched_at=_finite(kept.searched_at),
            searched_since=_finite(kept.searched_since),
            confirmed_at=_finite(kept.confirmed_at),
            unread={entity: at for entity, at in attempted.items() if entity not in accounts},
        )
        text = value.model_dump_json()
        return {WHOLE: Entry(text, text.encode)}

    def restore(values: Mapping[str, bytes]) -> None:
        for value in values.values():
            known = _Comparison.model_validate_json(value)
            if known.compared_at is not None:
                kept.compared_at = known.compared_at
            if known.searched_at is not None and known.searched_since is not None:
                kept.searched_at = known.searched_at
                kept.searched_since = known.searched_since
            if known.confirmed_at is not None:
                kept.confirmed_at = known.confirmed_at
            for entity, at in known.unread.items():
                kept.attempts.note(entity, at)

    return Kept(name=name, entries=entries, restore=restore)


def _differences(name: str, kept: Parts) -> Kept:
    """What belongs to no part, and the total with which the present round began."""

    def entries() -> Mapping[str, Entry]:
        rows = [(product, day, acus) for (product, day), acus in sorted(kept.accepted.items())]
        accepted = _ACCEPTED.dump_json(rows)
        began = kept.round_total
        found = {"accepted": Entry(accepted, lambda: accepted)}
        if began is not None:
            found["round"] = Entry(began.requested_at, partial(encode_usage, began))
        return found

    def restore(values: Mapping[str, bytes]) -> None:
        accepted: dict[tuple[str, int], float] = {}
        if "accepted" in values:
            rows = _ACCEPTED.validate_json(values["accepted"])
            accepted = {(product, day): acus for product, day, acus in rows}
        if "round" in values:
            kept.begin(decode_usage(values["round"])[0])
        kept.accepted = accepted

    return Kept(name=name, entries=entries, restore=restore)


def _finite(moment: float) -> float | None:
    return None if moment == float("-inf") else moment
