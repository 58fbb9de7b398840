"""Charges as Parquet: the same rows as in CSV, exact, in groups, also into a pipe."""

import csv
import io
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest

from exporter.exposition.focus import COLUMNS, Charge, write_csv
from exporter.exposition.parquet import ROWS_OF_A_GROUP, ParquetError, pyarrow, write_parquet

DAY = 86_400.0


class Pipe(io.RawIOBase):
    """A stream without a position."""

    def __init__(self) -> None:
        self.received = bytearray()

    def writable(self) -> bool:
        """It can be written."""
        return True

    def write(self, part: object) -> int:
        """Take a part."""
        assert isinstance(part, (bytes, memoryview, bytearray))
        self.received += part
        return len(part)


def charges(number: int) -> Iterator[Charge]:
    for day in range(number):
        yield Charge(
            day=(day * DAY, (day + 1) * DAY),
            billing_period=(0.0, number * DAY),
            account="ours",
            product="devin",
            quantity=Decimal("15.567122741887843") + day,
            price=Decimal("2.25"),
            currency="EUR",
            organization=("org-1", "One") if day % 2 else None,
            tags={"user": 'Ada "Grace"'} if day % 3 else {},
        )


def test_parquet_holds_the_rows_of_csv_exactly() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    text, pipe = io.BytesIO(), Pipe()
    number = ROWS_OF_A_GROUP + 7
    assert write_csv(charges(number), text) == number
    assert write_parquet(charges(number), pipe) == number  # type: ignore[arg-type]
    file = parquet.ParquetFile(io.BytesIO(bytes(pipe.received)))
    assert file.num_row_groups == 2
    assert file.schema_arrow.names == list(COLUMNS)
    told = file.read().to_pylist()
    rows = csv.DictReader(io.StringIO(text.getvalue().decode()))
    for row, values in zip(rows, told, strict=True):
        for name, value in values.items():
            if isinstance(value, Decimal):
                assert value == Decimal(row[name])
            elif isinstance(value, datetime):
                assert value == datetime.fromisoformat(row[name])
            else:
                assert (value or "") == row[name]


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ParquetError, match=r"pip install 'devin-exporter\[parquet\]'"):
        pyarrow()
