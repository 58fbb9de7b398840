"""The metrics page as bytes, plain and gzip, made of parts that stay while they do not change."""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

from exporter.exposition.checksums import combined, shift_of

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
SMALL_BYTES = 2**16
USUAL = -1
"""zlib's usual level of compression."""
FAST = 1
"""The level for lines that may change at any time."""


@dataclass(frozen=True, slots=True)
class Part:
    """Whole families, ready to be sent.

    Attributes:
        text: uncompressed.
        deflated: the same as blocks of a deflate stream; any others may come before and after.
        checksum: CRC-32 of `text`.
        shift: what the length of `text` multiplies the checksum before it by.
    """

    text: bytes = b""
    deflated: bytes = b""
    checksum: int = 0
    shift: int = shift_of(0)

    @classmethod
    def of(cls, text: bytes, *, level: int = USUAL) -> "Part":
        """Compress a text; empty for an empty one."""
        if not text:
            return cls()
        stream = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
        deflated = stream.compress(text) + stream.flush(zlib.Z_FULL_FLUSH)
        return cls(text, deflated, zlib.crc32(text), shift_of(len(text)))


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a scrape that changes only with the data.

    Attributes:
        texts: the families, uncompressed, in a few pieces.
        deflated: the same compressed.
        checksum: CRC-32 of the texts.
        size: bytes of the texts.
        valid_until: Unix seconds from which the page must be rebuilt.
    """

    texts: tuple[bytes, ...] = ()
    deflated: tuple[bytes, ...] = ()
    checksum: int = 0
    size: int = 0
    valid_until: float = math.inf

    @classmethod
    def of(cls, parts: Iterable[Part], *, valid_until: float) -> "Page":
        """Put parts together. Nothing is rendered or compressed."""
        parts = tuple(parts)
        return cls(
            texts=tuple(_joined(parts, lambda part: part.text)),
            deflated=tuple(_joined(parts, lambda part: part.deflated)),
            checksum=_checksum(0, parts),
            size=sum(len(part.text) for part in parts),
            valid_until=valid_until,
        )

    @property
    def text(self) -> bytes:
        """The families as one text."""
        return b"".join(self.texts)

    def plain(self, own: Iterable[Part], last: bytes) -> tuple[bytes, ...]:
        """The page, then the `own` families and `last` lines. The page is not copied."""
        return *self.texts, b"".join((*(part.text for part in own), last))

    def gzipped(self, own: Iterable[Part], last: bytes) -> tuple[bytes, ...]:
        """The same as one gzip member; only the `last` lines are compressed now.

        It is one member, as some clients read the first and drop the others silently.
        """
        own = tuple(own)
        stream = zlib.compressobj(FAST, wbits=-zlib.MAX_WBITS)
        checksum = zlib.crc32(last, _checksum(self.checksum, own))
        size = (self.size + sum(len(part.text) for part in own) + len(last)) & 0xFFFFFFFF
        following = (
            *(part.deflated for part in own),
            stream.compress(last),
            stream.flush(),
            checksum.to_bytes(4, "little"),
            size.to_bytes(4, "little"),
        )
        return _GZIP_HEADER, *self.deflated, b"".join(following)


def _checksum(before: int, parts: Iterable[Part]) -> int:
    return reduce(
        lambda checksum, part: combined(checksum, part.checksum, part.shift), parts, before
    )


def _joined(parts: Iterable[Part], of: Callable[[Part], bytes]) -> Iterator[bytes]:
    """Pieces with small parts joined, so that a scrape has few, and large ones not copied."""
    small: list[bytes] = []
    for part in parts:
        if len(of(part)) >= SMALL_BYTES:
            if small:
                yield b"".join(small)
                small = []
            yield of(part)
        else:
            small.append(of(part))
    if small:
        yield b"".join(small)
