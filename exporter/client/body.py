"""Reads the body of a response. The size limit holds for the decompressed body.

The body is collected in small blocks, as the allocator would keep the spare memory of a large one.
"""

import zlib
from collections.abc import Iterator

import httpx

from exporter.errors import BodyTooLargeError, NotJsonError

LARGEST_BODY_BYTES = 32 * 2**20
BLOCK_BYTES = 2**16


def read(endpoint: str, response: httpx.Response) -> bytes:
    """Read and decompress a body.

    Args:
        endpoint: path template for the error messages.

    Raises:
        BodyTooLargeError: as soon as the body exceeds the limit.
        NotJsonError: if the gzip stream is broken.
    """
    blocks = [bytearray()]
    size = 0
    try:
        for piece in _pieces(response):
            size += len(piece)
            if size > LARGEST_BODY_BYTES:
                raise BodyTooLargeError(
                    f"{endpoint} answered with more than {LARGEST_BODY_BYTES >> 20} MiB"
                )
            if len(blocks[-1]) >= BLOCK_BYTES:
                blocks.append(bytearray())
            blocks[-1] += piece
    except zlib.error:
        raise NotJsonError(f"{endpoint} answered with broken gzip") from None
    return b"".join(blocks)


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    if response.headers.get("Content-Encoding", "").lower() != "gzip":
        yield from response.iter_raw()
        return
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    for chunk in response.iter_raw():
        packed = chunk
        while packed:
            yield unpack.decompress(packed, BLOCK_BYTES)
            if unpack.unused_data:
                raise zlib.error("something stands behind the end")
            packed = unpack.unconsumed_tail
    if not unpack.eof:
        raise zlib.error("the end is missing")
