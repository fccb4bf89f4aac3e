"""NPY (NumPy Enhancement Proposal 1): an array of samples as a picture."""

from __future__ import annotations

import io
import os
from math import prod
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Alpha, Damaged, Format, Header

SIGNATURE = b"\x93NUMPY"

# What NumPy's reader of the header, a literal of Python, lets through.
_MALFORMED = (ValueError, TypeError, KeyError, SyntaxError, TokenError, RecursionError)


def read_array_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype; the stream is left at the first sample.

    Raises:
        Damaged: the header is malformed, the array holds objects (which only pickle can read), or
            the file is shorter than the array.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise Damaged(f"NPY version {version[0]}.{version[1]} is not read here.")
    except _MALFORMED as error:
        raise Damaged("The NPY header cannot be read.") from error
    if dtype.hasobject:
        raise Damaged("The NPY file holds Python objects, which are never loaded.")
    if dtype.kind not in "buif":
        raise Damaged(f"The NPY file holds samples of type {dtype}, not numbers.")
    if any(n < 0 for n in shape) or prod(shape) * dtype.itemsize > size - file.tell():
        raise Damaged("The NPY file is shorter than its header says.")
    return shape, fortran, dtype


def read_header(file: BinaryIO) -> Header:
    """Take (H, W), (H, W, 1|3|4) or (1|3|4, H, W) as a picture. Raises `Damaged`."""
    shape, _, dtype = read_array_header(file)
    warnings: tuple[str, ...] = ()
    if len(shape) == 2:
        height, width, channels = *shape, 1
    elif len(shape) == 3 and shape[2] in (1, 3, 4):
        height, width, channels = shape
    elif len(shape) == 3 and shape[0] in (1, 3, 4):
        channels, height, width = shape
        warnings = (f"The NPY array has its {channels} channels first.",)
    else:
        raise Damaged(f"An NPY array of shape {shape} is not a picture.")
    if not height or not width:
        raise Damaged(f"The NPY array gives a size of {width} x {height}.")
    alpha = Alpha.STRAIGHT if channels == 4 else Alpha.NONE
    return Header(Format.NPY, width, height, channels, dtype.itemsize * 8, alpha, warnings)


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """The samples, (H, W) or (H, W, channels), in native byte order. Raises `Damaged`."""
    file = io.BytesIO(data)
    shape, fortran, dtype = read_array_header(file)
    array = np.frombuffer(data, dtype, count=prod(shape), offset=file.tell())
    array = array.reshape(shape, order="F" if fortran else "C")
    if array.ndim == 3 and array.shape[2] != header.channels:
        array = array.transpose(1, 2, 0)
    return array.astype(dtype.newbyteorder("="), order="C")
