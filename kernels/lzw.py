"""Decode the LZW strips of TIFF (TIFF 6.0, section 13).

Codes of 9 to 12 bits, high bits first, their width growing one code early. A table entry is the
string of the code before plus one byte, and those bytes follow each other in the output already: so
the table keeps only where a string begins and how long it is. The 256 single bytes stand before the
output, so that they are strings like all others, and most strings are copied as one machine word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly
from kernels.words import load_word, store_word

SINGLES, CLEAR, END = 256, 256, 257
WORD = 8

_u = np.uint64


def decode_lzw(data: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Decode the first `size` bytes.

    Args:
        data: uint8 (n,), C-contiguous.

    Returns:
        uint8 (m,) with m <= size; fewer than `size` where the data end first.

    Raises:
        ValueError: a code that the table does not hold yet.
    """
    out = np.empty(SINGLES + size + WORD, np.uint8)
    written = _decode(data, out)
    if written < 0:
        raise ValueError("the LZW data hold a code that is not in the table")
    return out[SINGLES : SINGLES + written]


@kernel(f"int64({readonly('uint8', 1)}, uint8[::1])")
def _decode(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Returns the number of bytes written behind the singles, -1 for an unknown code."""
    starts = np.empty(4096, np.uint64)
    lengths = np.empty(4096, np.uint64)
    for single in range(SINGLES):
        out[single] = single
        starts[single] = single
        lengths[single] = 1
    available, end = _u(data.size), _u(out.size - WORD)
    here, at = _u(SINGLES), _u(0)
    bits, filled = _u(0), _u(0)
    made, width = _u(END + 1), _u(9)  # entries of the table, bits of a code
    start, length = _u(0), _u(0)  # of the string before; length 0 after a clear code
    while here < end:
        if filled < width:
            if at + _u(4) <= available:
                for _ in range(4):
                    bits = bits << _u(8) | _u(data[at])
                    at += _u(1)
                filled += _u(32)
            else:
                while filled < width:
                    if at == available:
                        return int(here) - SINGLES
                    bits = bits << _u(8) | _u(data[at])
                    at += _u(1)
                    filled += _u(8)
        filled -= width
        code = bits >> filled & ((_u(1) << width) - _u(1))
        if code == _u(CLEAR):
            made, width, length = _u(END + 1), _u(9), _u(0)
            continue
        if code == _u(END):
            break
        if length > _u(0) and made < _u(4096):
            # The entry that the encoder made with the code before. Its last byte is the next one of
            # the output, even if only the present code writes it.
            starts[made] = start
            lengths[made] = length + _u(1)
            made += _u(1)
            if made + _u(1) >= _u(1) << width and width < _u(12):
                width += _u(1)
        if code >= made:
            return -1
        start, length = starts[code], lengths[code]
        if length <= _u(WORD) and start + length <= here:
            store_word(out, here, load_word(out, start))
            start = here
            here += length
        else:
            source, start = start, here
            for i in range(min(length, end - here)):
                out[here + _u(i)] = out[source + _u(i)]
            here += length
    return int(min(here, end)) - SINGLES
