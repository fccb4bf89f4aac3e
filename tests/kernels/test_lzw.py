"""LZW strips, against an encoder made from the specification."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.lzw import decode_lzw
from tests.corpus.tiff_writer import compress_lzw


def decode(data: bytes, size: int) -> bytes:
    return decode_lzw(np.frombuffer(data, np.uint8), size).tobytes()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 350))
def test_short_data(data: bytes, size: int) -> None:
    assert decode(compress_lzw(data), size) == data[:size]


@pytest.mark.parametrize("values", [1, 2, 5, 40, 256])
@pytest.mark.parametrize("size", [254, 255, 256, 257, 600, 4000, 30_000])
def test_every_width_of_code(values: int, size: int) -> None:
    """Long enough for codes of 9 to 12 bits and for tables that fill up and start again."""
    rng = np.random.default_rng(size + values)
    data = rng.integers(0, values, size, dtype=np.uint8).tobytes()
    assert decode(compress_lzw(data), size) == data


def test_a_string_that_is_made_while_it_is_used() -> None:
    """The code of "aa" comes before the table holds it, and so on for longer strings."""
    data = b"a" * 5000
    assert decode(compress_lzw(data), 5000) == data


def test_data_that_end_early() -> None:
    data = bytes(range(256)) * 4
    packed = compress_lzw(data)
    for cut in range(0, len(packed), 37):
        decoded = decode(packed[:cut], len(data))
        assert len(decoded) < len(data)
        assert data.startswith(decoded)


def test_unknown_codes() -> None:
    clear_and_700 = (256 << 9 | 300) << 6  # the table is empty after a clear code
    with pytest.raises(ValueError, match="not in the table"):
        decode(clear_and_700.to_bytes(3, "big"), 10)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 5000))
def test_anything_else_ends(data: bytes, size: int) -> None:
    with contextlib.suppress(ValueError):
        assert len(decode(data, size)) <= size
