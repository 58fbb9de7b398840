"""Charges as a Parquet file, where pyarrow is installed."""

import importlib
from collections.abc import Iterable
from decimal import Decimal, localcontext
from itertools import islice
from types import ModuleType
from typing import BinaryIO

from exporter.exposition.focus import COLUMNS, Charge, Value, row

ROWS_OF_A_GROUP = 10_000
DIGITS, DECIMALS = 38, 20
"""Of a decimal of 128 bits; a quantity has at most 17 digits."""


class ParquetError(Exception):
    """Parquet cannot be written here."""


def pyarrow() -> ModuleType:
    """The library, which is an extra.

    Raises:
        ParquetError: if it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ParquetError("parquet needs pyarrow: pip install 'devin-exporter[parquet]'") from None


class _Sink:
    """A stream that has a position also where it cannot be asked for one, like a pipe."""

    closed = False

    def __init__(self, into: BinaryIO) -> None:
        self._into = into
        self._written = 0

    def write(self, part: bytes) -> int:
        """Write a part."""
        self._into.write(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        """The number of bytes that were written."""
        return self._written

    def flush(self) -> None:
        """Nothing: whoever has opened the stream flushes it."""


def _fitting(value: Value) -> Value:
    """A decimal with as many digits as the column has; the rest is far below a cent."""
    if not isinstance(value, Decimal):
        return value
    with localcontext(prec=DIGITS):
        return value.quantize(Decimal(1).scaleb(-DECIMALS))


def write_parquet(charges: Iterable[Charge], into: BinaryIO) -> int:
    """Write charges in groups of rows; returns their number.

    Raises:
        ParquetError: if pyarrow is not installed.
    """
    pa = pyarrow()
    types = {
        "decimal": pa.decimal128(DIGITS, DECIMALS),
        "moment": pa.timestamp("us", tz="UTC"),
        "text": pa.string(),
    }
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in COLUMNS.items()])
    rows = (row(charge) for charge in charges)
    number = 0
    sink = pa.PythonFile(_Sink(into), mode="w")
    with importlib.import_module("pyarrow.parquet").ParquetWriter(sink, schema) as writer:
        while group := list(islice(rows, ROWS_OF_A_GROUP)):
            values = [{name: _fitting(each.get(name)) for name in COLUMNS} for each in group]
            writer.write_table(pa.Table.from_pylist(values, schema=schema))
            number += len(group)
    return number
