"""The metrics page as bytes, plain and gzip. A page is replaced whole."""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a scrape that changes only with the data, ready to be sent.

    Attributes:
        text: the families, uncompressed.
        deflated: `text` as a deflate stream to which more can be appended.
        checksum: CRC-32 of `text`.
        valid_until: Unix seconds from which the page must be rebuilt.
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
        """The page, then the exporter's `own` lines, without copying them."""
        return self.text, own

    def gzipped(self, own: bytes) -> tuple[bytes, ...]:
        """The same as one gzip member; only `own` is compressed now."""
        stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        tail = stream.compress(own) + stream.flush()
        checksum = zlib.crc32(own, self.checksum)
        size = (len(self.text) + len(own)) & 0xFFFFFFFF
        trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
        return _GZIP_HEADER, self.deflated, tail + trailer
