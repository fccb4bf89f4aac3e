"""PackBits strips, against an encoder made from the specification."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.packbits import decode_packbits
from tests.corpus.tiff_writer import compress_packbits


def decode(data: bytes, size: int) -> bytes:
    return decode_packbits(np.frombuffer(data, np.uint8), size).tobytes()


def test_the_example_of_the_specification() -> None:
    packed = bytes.fromhex("FE AA 02 80 00 2A FD AA 03 80 00 2A 22 F7 AA")
    plain = bytes.fromhex("AA AA AA 80 00 2A AA AA AA AA 80 00 2A 22 AA AA AA AA AA AA AA AA AA AA")
    assert decode(packed, 24) == plain
    assert decode(b"\x80\x80" + packed, 100) == plain, "128 means nothing"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400)), max_size=12),
    st.integers(0, 2000),
)
@example([(7, 128), (8, 129)], 1000)
def test_round_trips(runs: list[tuple[int, int]], size: int) -> None:
    data = b"".join(bytes([value]) * count for value, count in runs)
    packed = compress_packbits(data)
    assert decode(packed, size) == data[:size]
    for cut in (len(packed) - 1, len(packed) // 2):
        if cut > 0:
            assert data.startswith(decode(packed[:cut], len(data)))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 500))
def test_anything_ends(data: bytes, size: int) -> None:
    assert len(decode(data, size)) <= size
