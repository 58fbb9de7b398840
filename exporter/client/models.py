"""The base classes of response models, the parser of response bodies, and rows of lists.

A row of a list that cannot be read costs that row and not the list. It becomes `Unreadable`, which
is counted, and a count or a sum that needs it is absent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails

from exporter.errors import NotJsonError, ShapeError

T = TypeVar("T")

Count = Annotated[int, Field(ge=0, le=10**15)]
"""A count, from 0."""

Timestamp = Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
"""Unix seconds, or milliseconds if the value is large; no later than the year 9999."""

Acus = Annotated[float, Field(ge=-(10**12), le=10**12)]
"""ACUs; a restated day may hold a negative correction."""

Id = Annotated[str, Field(min_length=1)]
"""An entity's id."""


class ResponseModel(BaseModel):
    """Base of all response models: only the fields read, unknown ones ignored, types exact."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a row that cannot be read; `why` names the field, but not its value."""

    why: str


@dataclass(slots=True)
class RowReport:
    """What a parser has met of rows: whether there was any list, and the rows it cannot read."""

    lists: bool = False
    unreadable: list[Unreadable] = field(default_factory=list)


def _or_unreadable(
    value: object, read: ValidatorFunctionWrapHandler, info: "ValidationInfo[object]"
) -> object:
    try:
        return read(value)
    except ValidationError as invalid:
        first = _first_error(invalid)
        # The type of the row is the first part, as it is one of two.
        row = Unreadable(f"{_where(first['loc'][1:]) or 'row'}: {first['msg']}")
    if isinstance(info.context, RowReport):
        info.context.unreadable.append(row)
    return row


def _note_list(rows: T, info: "ValidationInfo[object]") -> T:
    if isinstance(info.context, RowReport):
        info.context.lists = True
    return rows


Array = Annotated[tuple[T, ...], Field(strict=False)]
"""An array within a row, which a strict tuple would refuse: a row is read from a Python value."""

Rows = Annotated[
    Array[
        Annotated[
            T | InstanceOf[Unreadable],
            Field(union_mode="left_to_right"),
            WrapValidator(_or_unreadable),
        ]
    ],
    AfterValidator(_note_list),
]
"""A list; a row that cannot be read becomes `Unreadable`."""


class Listing(list[T]):
    """The rows of a list that could be read, and how many could not."""

    unreadable: int = 0

    @classmethod
    def of(cls, rows: Iterable[T | Unreadable]) -> Self:
        """Sort the rows of a response."""
        every = tuple(rows)
        listing = cls(row for row in every if not isinstance(row, Unreadable))
        listing.unreadable = len(every) - len(listing)
        return listing


class ListPage(ResponseModel, Generic[T]):
    """One page of a list. Without a cursor `has_next_page` may be missing or null."""

    items: Rows[T]
    end_cursor: str | None = None
    has_next_page: bool | None = None


def parse_response(
    endpoint: str,
    response_type: TypeAdapter[T],
    body: bytes,
    *,
    rows: RowReport | None = None,
) -> T:
    """Parse a body as the type that the endpoint documents.

    Args:
        endpoint: path template for the error messages.
        rows: receives what is met of rows.

    Raises:
        NotJsonError: if the body is no JSON.
        ShapeError: if it is of another type; names the field, but not its value.
    """
    try:
        return response_type.validate_json(body, context=rows)
    except ValidationError as invalid:
        first = _first_error(invalid)
        if first["type"] == "json_invalid":
            raise NotJsonError(f"{endpoint} answered with something else than JSON") from None
        where = _where(first["loc"]) or "response"
        raise ShapeError(f"{endpoint}: {where}: {first['msg']}") from None


def _first_error(invalid: ValidationError) -> ErrorDetails:
    return invalid.errors(include_url=False, include_input=False, include_context=False)[0]


def _where(place: Sequence[int | str]) -> str:
    return ".".join("[]" if isinstance(part, int) else part for part in place)
