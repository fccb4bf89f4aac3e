"""A mask as one bit per pixel, 64 pixels of a column to a word: the way between masks and runs.

Runs go down columns, masks lie in rows. Packing 64 rows at a time, each row as one vector
operation, turns a mask into words that go down columns at the speed of memory and without a
transpose. Where a run starts or ends, neighbouring bits differ: a word's changes are the word
xor itself moved by one. Most words of a mask have none, so a second level of bits says which do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bits import count_ones, trailing_zeros
from kernels.jit import kernel, readonly

Words = NDArray[np.uint64]
"""uint64 (ceil(H / 64), at least W): bit r of word (g, c) belongs to the pixel (64 g + r, c)."""

_FLAT_PIXELS = readonly("uint8", 1)
_PIXELS = readonly("uint8", 2)
_WORDS = readonly("uint64", 2)
_RUNS = readonly("int64", 2)

_CHUNK = 1 << 14  # pixels: these, their octets and words stay in the first-level cache


def empty_words(height: int, width: int) -> Words:
    """Room for a bit per pixel; values are not set.

    Where there are several columns, rows are one cache line longer than the mask is wide: columns
    are read downwards, and words at a distance of a power of two would evict one another from the
    cache.
    """
    return np.empty((-(-height // 64), width + 8 if width > 1 else 1), np.uint64)


@kernel()
def _pack_group(
    pixels: NDArray[np.uint8], group: int, octet: NDArray[np.uint8], line: NDArray[np.uint64]
) -> None:
    """Pack 64 rows, or what is left of them, into one word per column.

    Args:
        octet: uint8 (W,), scratch: 8 rows of one column fill a byte.
        line: uint64 (W,); filled.
    """
    height, width = pixels.shape
    for byte in range(8):
        row = group * 64 + byte * 8
        if row + 8 <= height:
            r0, r1, r2, r3 = pixels[row], pixels[row + 1], pixels[row + 2], pixels[row + 3]
            r4, r5, r6, r7 = pixels[row + 4], pixels[row + 5], pixels[row + 6], pixels[row + 7]
            for c in range(width):
                octet[c] = (
                    (r0[c] != 0)
                    | (r1[c] != 0) << 1
                    | (r2[c] != 0) << 2
                    | (r3[c] != 0) << 3
                    | (r4[c] != 0) << 4
                    | (r5[c] != 0) << 5
                    | (r6[c] != 0) << 6
                    | (r7[c] != 0) << 7
                )
        else:
            octet[:] = 0
            for r in range(row, height):
                for c in range(width):
                    octet[c] |= (pixels[r, c] != 0) << (r - row)
        shift = np.uint64(8 * byte)
        if byte == 0:
            for c in range(width):
                line[c] = np.uint64(octet[c])
        else:
            for c in range(width):
                line[c] |= np.uint64(octet[c]) << shift


@kernel(f"void({_PIXELS}, uint64[:, ::1])")
def pack(pixels: NDArray[np.uint8], words: Words) -> None:
    """Fill `words` with the state of every pixel. Nonzero is set; rows past the last are not."""
    octet = np.empty(pixels.shape[1], np.uint8)
    for group in range(words.shape[0]):
        _pack_group(pixels, group, octet, words[group])


@kernel(f"int64({_PIXELS}, uint64[:, ::1], uint64[:, ::1])")
def mark_changes(pixels: NDArray[np.uint8], marked: Words, summary: Words) -> int:
    """Mark every pixel whose state differs from that of the pixel before it, column-major.

    Before the first pixel lies an unset one. Nonzero is set.

    Args:
        pixels: uint8 (H, W), not empty.
        marked: from ``empty_words(H, W)``; filled.
        summary: from ``empty_words(len(marked), W)``; bit g of a column tells whether word g of
            that column in `marked` is not zero; filled.

    Returns:
        the number of marked pixels.
    """
    height, width = pixels.shape
    one, top = np.uint64(1), np.uint64(63)
    octet = np.empty(width, np.uint8)
    line = np.empty(width, np.uint64)
    before = np.empty(width, np.uint64)  # the pixel above; for a column's first, left of its foot
    before[0] = 0
    for c in range(1, width):
        before[c] = pixels[height - 1, c - 1] != 0
    summary[:] = 0
    changes = 0
    for group in range(marked.shape[0]):
        _pack_group(pixels, group, octet, line)
        valid = ~np.uint64(0)
        if group == marked.shape[0] - 1:
            valid >>= top - np.uint64((height - 1) & 63)
        target, seen = marked[group], summary[group >> 6]
        bit = one << np.uint64(group & 63)
        for c in range(width):
            word = line[c]
            differs = (word ^ (word << one | before[c])) & valid
            before[c] = word >> top
            target[c] = differs
            seen[c] |= bit if differs else np.uint64(0)
            changes += count_ones(differs)
    return changes


@kernel(f"int64({_FLAT_PIXELS}, uint64[:, ::1], uint64[:, ::1])")
def mark_flat_changes(pixels: NDArray[np.uint8], marked: Words, summary: Words) -> int:
    """`mark_changes` for pixels that lie in column-major order: one column of them all.

    A run that reaches the last pixel is marked as ended after it, unless the last word is full.
    """
    size = pixels.size
    one, top = np.uint64(1), np.uint64(63)
    low_bits, gather = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x0102040810204080)
    octets = np.empty(_CHUNK // 8, np.uint8)
    words = octets.view(np.uint64)
    line = np.empty(_CHUNK // 64, np.uint64)
    before = np.uint64(0)
    changes = 0
    for start in range(0, size, _CHUNK):
        count = min(_CHUNK, size - start)
        whole = count // 8
        eights = pixels[start : start + whole * 8].view(np.uint64)
        for i in range(whole):
            # Adding 127 carries into a byte's top bit where any lower bit is set; the product
            # gathers the eight top bits in its highest byte.
            states = (((eights[i] & low_bits) + low_bits | eights[i]) & ~low_bits) >> np.uint64(7)
            octets[i] = np.uint8(states * gather >> np.uint64(56))
        if count < _CHUNK:
            octets[whole:] = 0
            for i in range(whole * 8, count):
                octets[i >> 3] |= (pixels[start + i] != 0) << (i & 7)
        line[0] = words[0] ^ (words[0] << one | before)
        for i in range(1, line.size):
            line[i] = words[i] ^ (words[i] << one | words[i - 1] >> top)
        before = words[-1] >> top
        first, filled = start // 64, (count + 63) // 64
        line[filled:] = 0
        marked[first : first + filled, 0] = line[:filled]
        for part in range((filled + 63) // 64):
            seen = np.uint64(0)
            for i in range(64):
                differs = line[part * 64 + i]
                seen |= np.uint64(differs != 0) << np.uint64(i)
                changes += count_ones(differs)
            summary[first // 64 + part, 0] = seen
    return changes


@kernel(f"void({_WORDS}, {_WORDS}, int64, int64, int64[::1])")
def list_runs(
    marked: Words, summary: Words, height: int, width: int, runs: NDArray[np.int64]
) -> None:
    """Write start and length of every run, one after the other.

    Args:
        marked, summary: from `mark_changes`, or from `mark_flat_changes` with a width of 1.
        runs: room for as many values as pixels are marked, and one more if their number is odd:
            then the last run is open, and ends with the mask.
    """
    one = np.uint64(1)
    found = last = 0
    for c in range(width):
        for part in range(summary.shape[0]):
            left = summary[part, c]
            while left:
                group = part * 64 + trailing_zeros(left)
                left &= left - one
                word = marked[group, c]
                base = c * height + group * 64
                while word:
                    here = base + trailing_zeros(word)
                    word &= word - one
                    runs[np.uint64(found)] = here - last * (found & 1)
                    last = here
                    found += 1
    if found < runs.size:
        runs[found] = height * width - last


@kernel(f"void({_RUNS}, int64, uint64[:, ::1])")
def set_runs(runs: NDArray[np.int64], height: int, words: Words) -> None:
    """Set the bits of runs, in any order, that lie within the mask."""
    ones = ~np.uint64(0)
    for i in range(runs.shape[0]):
        column, first = divmod(runs[i, 0], height)
        left = runs[i, 1]
        while left > 0:
            end = min(first + left, height)
            group, last = first >> 6, (end - 1) >> 6
            head = ones << np.uint64(first & 63)
            tail = ones >> np.uint64(63 - ((end - 1) & 63))
            if group == last:
                words[group, column] |= head & tail
            else:
                words[group, column] |= head
                for inner in range(group + 1, last):
                    words[inner, column] = ones
                words[last, column] |= tail
            left -= end - first
            column += 1
            first = 0


@kernel(f"void({_WORDS}, uint8[:, ::1])")
def unpack(words: Words, pixels: NDArray[np.uint8]) -> None:
    """Write 0 or 1 to every pixel of a mask, uint8 (H, W)."""
    height, width = pixels.shape
    octet = np.empty(width, np.uint8)
    for top in range(0, height, 8):
        source = words[top // 64]
        shift = np.uint64(top % 64)
        for c in range(width):
            octet[c] = np.uint8(source[c] >> shift)
        bit = np.uint8(1)
        for r in range(top, min(top + 8, height)):
            line = pixels[r]
            for c in range(width):
                line[c] = np.uint8(1) if octet[c] & bit else np.uint8(0)
            bit = np.uint8(bit << 1)
