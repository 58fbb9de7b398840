"""The base classes of response models, and the parser of response bodies."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

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


class ListPage(ResponseModel, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    end_cursor: str | None = None
    has_next_page: bool = False


def parse_response(endpoint: str, response_type: TypeAdapter[T], body: bytes) -> T:
    """Parse a body as the type that the endpoint documents.

    Args:
        endpoint: path template for the error messages.

    Raises:
        NotJsonError: if the body is no JSON.
        ShapeError: if it is of another type; names the field, but not its value.
    """
    try:
        return response_type.validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise NotJsonError(f"{endpoint} answered with something else than JSON") from None
        where = ".".join("[]" if isinstance(part, int) else part for part in first["loc"])
        raise ShapeError(f"{endpoint}: {where or 'response'}: {first['msg']}") from None
