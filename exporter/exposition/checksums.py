"""The CRC-32 of two texts one after the other, from the CRC-32 of each, as zlib computes it.

A checksum is a polynomial over two elements. Bytes that follow multiply it by a power of x, and the
product of two polynomials is taken modulo that of CRC-32.
"""

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320
_ONE = 0x80000000
_X = 0x40000000


def combined(first: int, second: int, length: int) -> int:
    """The checksum of two texts, from the checksum of each and the second's length in bytes."""
    return _product(_shift(length), first) ^ second


@lru_cache(maxsize=256)
def _shift(length: int) -> int:
    """What `length` bytes that follow multiply a checksum by."""
    shift, power = _ONE, _X
    bits = 8 * length
    while bits:
        if bits & 1:
            shift = _product(shift, power)
        power = _product(power, power)
        bits >>= 1
    return shift


def _product(left: int, right: int) -> int:
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = (right >> 1) ^ (_POLYNOMIAL if right & 1 else 0)
    return product
