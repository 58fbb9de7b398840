"""The metrics page: bytes, plain and gzip, replaced whole."""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a scrape that only changes when data does, ready to be copied out.

    Attributes:
        text: the families, uncompressed.
        deflated: the same as a deflate stream that more can be appended to.
        checksum: CRC-32 of `text`.
        valid_until: Unix seconds after which the page must be made anew.
    """

    text: bytes = b""
    deflated: bytes = b""
    checksum: int = 0
    valid_until: float = math.inf

    @classmethod
    def of(cls, parts: Iterable[bytes], *, valid_until: float) -> "Page":
        """Join families into a page and compress it once."""
        text = b"".join(parts)
        stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated = stream.compress(text) + stream.flush(zlib.Z_FULL_FLUSH)
        return cls(text, deflated, zlib.crc32(text), valid_until)

    def plain(self, own: bytes) -> tuple[bytes, ...]:
        """The page, then the exporter's `own` lines, in parts that are not copied."""
        return self.text, own

    def gzipped(self, own: bytes) -> tuple[bytes, ...]:
        """The same as one gzip member, for which only `own` is compressed now."""
        stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        tail = stream.compress(own) + stream.flush()
        checksum = zlib.crc32(own, self.checksum)
        size = (len(self.text) + len(own)) & 0xFFFFFFFF
        trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
        return _GZIP_HEADER, self.deflated, tail + trailer
