"""Lenient types for the gateway's values: decimal strings, percentages and anything else.

A field that cannot be read does not affect the others. It becomes `INVALID`, which is counted and
not published.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from exporter.client.models import ResponseModel
from exporter.exposition.text import as_name, as_word

T = TypeVar("T")

_NUMBER = re.compile(r"[+-]?([0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class Invalid:
    """Stands for a value that is present and invalid."""


INVALID: Final = Invalid()


def _or_invalid(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return INVALID


Lenient = Annotated[T | InstanceOf[Invalid] | None, WrapValidator(_or_invalid)]
"""A value, `INVALID`, or None if it is missing or null."""

Rows = Annotated[
    tuple[Annotated[T | InstanceOf[Invalid], WrapValidator(_or_invalid)], ...],
    Field(strict=False),
]
"""A list; a row that is invalid or null becomes `INVALID`."""


def unreadable_fields(model: ResponseModel, path: str = "") -> Iterator[str]:
    """The path of every invalid value in a model, like `tech.total_cost_rmb`."""
    for name, value in model:
        yield from _invalid(value, f"{path}{name}")


def _invalid(value: object, path: str) -> Iterator[str]:
    if value is INVALID:
        yield path
    elif isinstance(value, ResponseModel):
        yield from unreadable_fields(value, f"{path}.")
    elif isinstance(value, tuple):
        for item in value:
            yield from _invalid(item, path)


def number(value: object) -> Decimal:
    """Parse a JSON number or a decimal string, with or without thousands separators.

    Raises:
        ValueError: if it is neither, or not finite.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(Decimal(repr(value)))
    if isinstance(value, str) and _NUMBER.fullmatch(text := value.strip()):
        return _finite(Decimal(text.replace(",", "")))
    raise ValueError("is no number")


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("is not finite")
    return value


def ratio(value: object) -> Decimal:
    """Parse a percentage, with or without the sign, as a ratio. Raises `ValueError`."""
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    return number(value) / 100


def _seconds(milliseconds: object) -> Decimal:
    return number(milliseconds) / 1_000


def _ones(wan: object) -> Decimal:
    return number(wan) * 10_000


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(text := value.strip()):
        return date.fromisoformat(text)
    raise ValueError("is no calendar day")


def _month(value: object) -> date:
    if isinstance(value, str) and (found := _MONTH.fullmatch(value.strip())):
        return date(int(found[1]), int(found[2]), 1)
    raise ValueError("is no month")


Count = Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=10**18, multiple_of=1)]
"""A count, from 0."""

Money = Annotated[Decimal, BeforeValidator(number), Field(ge=-(10**12), le=10**12)]
"""RMB; negative if refunds exceed the cost."""

Ratio = Annotated[Decimal, BeforeValidator(ratio), Field(ge=0, le=1_000)]
"""A share of a quota, which may be exceeded; in per cent in the response."""

Share = Annotated[Decimal, BeforeValidator(ratio), Field(ge=0, le=1)]
"""A share of all; in per cent in the response."""

Seconds = Annotated[Decimal, BeforeValidator(_seconds), Field(ge=0, le=10**6)]
"""A duration in seconds; in milliseconds in the response."""

Characters = Annotated[Decimal, BeforeValidator(_ones), Field(ge=0, le=10**18)]
"""A number of characters; in `wan` (10,000) in the response."""

Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
"""An id, or a text that is not published."""

Name = Annotated[Text, AfterValidator(as_name)]
"""A name of something that has an id."""

Word = Annotated[Text, AfterValidator(as_word)]
"""A text that distinguishes series."""

Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day."""

Month = Annotated[date, BeforeValidator(_month)]
"""A calendar month as its first day; like `2026-03` in the response."""
