"""The metrics page as bytes, plain and gzip, made of parts that stay while they do not change."""

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.exposition.checksums import combined

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
SMALL_BYTES = 2**16
PIECE_BYTES = 2**18
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
    """

    text: bytes = b""
    deflated: bytes = b""
    checksum: int = 0

    @classmethod
    def of(cls, text: bytes, *, level: int = USUAL) -> "Part":
        """Compress a text; empty for an empty one."""
        if not text:
            return cls()
        stream = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
        deflated = stream.compress(text) + stream.flush(zlib.Z_FULL_FLUSH)
        return cls(text, deflated, zlib.crc32(text))

    def is_of(self, text: bytes) -> bool:
        """Whether it has this text. Compared in pieces, as no other thread runs meanwhile."""
        pieces = range(0, len(text), PIECE_BYTES)
        return len(text) == len(self.text) and all(
            text[start : start + PIECE_BYTES] == self.text[start : start + PIECE_BYTES]
            for start in pieces
        )


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a scrape that changes only with the data.

    Attributes:
        texts: the families, uncompressed, in a few pieces.
        deflated: the same compressed, after the header of a gzip member.
        checksum: CRC-32 of the texts.
        size: bytes of the texts.
        valid_until: Unix seconds from which the page must be rebuilt.
    """

    texts: tuple[bytes, ...] = ()
    deflated: tuple[bytes, ...] = (_GZIP_HEADER,)
    checksum: int = 0
    size: int = 0
    valid_until: float = math.inf

    @classmethod
    def of(cls, parts: Iterable[Part], *, valid_until: float) -> "Page":
        """Put parts together. Nothing is rendered or compressed."""
        parts = tuple(parts)
        checksum = 0
        for part in parts:
            checksum = combined(checksum, part.checksum, len(part.text))
        return cls(
            texts=tuple(_joined(part.text for part in parts)),
            deflated=tuple(_joined((_GZIP_HEADER, *(part.deflated for part in parts)))),
            checksum=checksum,
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
        following = b"".join((*(part.text for part in own), last))
        checksum = zlib.crc32(following, self.checksum)
        size = (self.size + len(following)) & 0xFFFFFFFF
        end = (
            *(part.deflated for part in own),
            stream.compress(last),
            stream.flush(),
            checksum.to_bytes(4, "little"),
            size.to_bytes(4, "little"),
        )
        return *self.deflated, b"".join(end)


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces with small parts joined, so that a scrape has few, and large ones not copied."""
    small: list[bytes] = []
    for part in parts:
        if len(part) >= SMALL_BYTES:
            if small:
                yield b"".join(small)
                small = []
            yield part
        else:
            small.append(part)
    if small:
        yield b"".join(small)
