"""Decode the PackBits strips of TIFF (TIFF 6.0, section 9): runs of equal bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly


def decode_packbits(data: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Decode the first `size` bytes.

    Args:
        data: uint8 (n,), C-contiguous.

    Returns:
        uint8 (m,) with m <= size; fewer than `size` where the data end first.
    """
    out = np.empty(size, np.uint8)
    return out[: _decode(data, out)]


@kernel(f"int64({readonly('uint8', 1)}, uint8[::1])")
def _decode(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Returns the number of bytes written."""
    at, written = 0, 0
    while at < data.size and written < out.size:
        count = int(data[at])
        at += 1
        if count < 128:  # so many bytes and one as they are
            length = min(count + 1, data.size - at, out.size - written)
            for i in range(length):
                out[written + i] = data[at + i]
            at += count + 1
            written += length
        elif count > 128:  # one byte, repeated
            if at == data.size:
                break
            length = min(257 - count, out.size - written)
            for i in range(length):
                out[written + i] = data[at]
            at += 1
            written += length
    return written
