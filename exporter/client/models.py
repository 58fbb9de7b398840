"""What answers look like: models with only the fields read, and how bytes become one."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from exporter.errors import NotJsonError, ShapeError

T = TypeVar("T")

Count = Annotated[int, Field(ge=0, le=10**15)]
"""A number of things."""


class ResponseModel(BaseModel):
    """Base of all models of answers: only the fields read, unknown ones ignored, types exact."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")


class ListPage(ResponseModel, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    end_cursor: str | None = None
    has_next_page: bool = False


def parse_response(endpoint: str, shape: TypeAdapter[T], body: bytes) -> T:
    """Read a body as the shape that an endpoint documents.

    Raises:
        NotJsonError: if it is no JSON at all.
        ShapeError: naming the place that differs, but not its value.
    """
    try:
        return shape.validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise NotJsonError(f"{endpoint} answered with something else than JSON") from None
        where = ".".join("[]" if isinstance(part, int) else part for part in first["loc"])
        raise ShapeError(f"{endpoint}: {where or 'answer'}: {first['msg']}") from None
