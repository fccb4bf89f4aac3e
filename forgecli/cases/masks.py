"""The one place where masks are read, whatever form they were saved in."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import MAX_BYTES, decode_native
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.formats import npy, tiff
from forgecli.cases.formats.header import Alpha, Damaged, Format, Header
from forgecli.cases.header import open_regular, parse_header, recognise

MOST_CHANNELS = 64
"""Instances in one file. Real masks have at most 5; an axis longer than this is no channel axis."""


def read_mask(
    path: Path | str, shape: tuple[int, int], max_bytes: int = MAX_BYTES
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the instances of a picture.

    Any of (H, W), (N, H, W), (H, W, N), bool, integer or float, as NPY or as a picture, pages of a
    TIFF being instances. Every sample that is not zero belongs to the mask, so the labels of a
    label map are one instance. What is not 0 and one other value in (N, H, W) of the picture's
    size is repaired, and a warning names the repair: axes in another order or transposed, another
    size (nearest neighbour), more than two values, NaN, alpha or colours in a picture, lossy
    compression (128 and more belongs to the mask), empty channels.

    Args:
        shape: (H, W) of the picture, which also tells which axis counts the instances.
        max_bytes: the most bytes that the file and its samples may each take.

    Returns:
        uint8 (N, H, W), C-contiguous, of 0 and 1, no channel empty, N = 0 for an empty mask; and
        the warnings.

    Raises:
        Unreadable: missing, damaged, objects that only pickle could load, or no mask by its shape.
        TooLarge: more than `max_bytes`.
    """
    path = Path(path)
    try:
        array, warnings = _read_array(path, max_bytes)
        planes = _to_planes(array, shape, warnings)
    except Damaged as damage:
        raise Unreadable(str(damage), file=path) from damage
    binary = _to_binary(planes, warnings)
    if binary.shape[1:] != shape:
        binary = _resize(binary, shape, warnings)
    kept = binary.any(axis=(1, 2))
    if not kept.all():
        count = int((~kept).sum())
        warnings.append(f"The mask has {count} empty channel{'s' if count > 1 else ''}, left out.")
        binary = binary[kept]
    return np.ascontiguousarray(binary, np.uint8), warnings


def _read_array(path: Path, max_bytes: int) -> tuple[NDArray[Any], list[str]]:
    with open_regular(path) as file:
        if recognise(file.read(18)) is Format.NPY:
            shape, fortran, dtype = npy.read_array_header(file)
            count = int(np.prod(shape, dtype=object))
            _check_size(count * dtype.itemsize, max_bytes, path)
            samples = np.frombuffer(file.read(count * dtype.itemsize), dtype)
            return samples.reshape(shape, order="F" if fortran else "C"), []
        header = parse_header(file, path)
        _check_size(max(header.decoded_bytes, file.seek(0, 2)), max_bytes, path)
        file.seek(0)
        data = file.read()
    if header.format is Format.TIFF:
        return _read_pages(data, header, max_bytes, path)
    try:
        array = decode_native(data, header)
    except Unreadable as failure:
        raise Unreadable(failure.what, file=path) from failure
    warnings = list(header.warnings)
    return _one_channel(array, header, warnings), warnings


def _read_pages(
    data: bytes, header: Header, max_bytes: int, path: Path
) -> tuple[NDArray[Any], list[str]]:
    """The pages of a TIFF as channels."""
    warnings = [text for text in header.warnings if text != tiff.MORE_PAGES]
    pages: list[NDArray[Any]] = []
    for page in islice(tiff.decode_pages(data), MOST_CHANNELS + 1):
        pages.append(_one_channel(page, header, warnings if not pages else []))
        _check_size(sum(each.nbytes for each in pages), max_bytes, path)
    if len(pages) > MOST_CHANNELS:
        raise Damaged(f"The TIFF has more than {MOST_CHANNELS} pages, too many for instances.")
    if any(page.shape != pages[0].shape for page in pages):
        raise Damaged("The TIFF's pages differ in size.")
    return np.stack(pages), warnings


def _check_size(size: int, max_bytes: int, path: Path) -> None:
    if size > max_bytes:
        raise TooLarge(f"The mask takes {size:,} bytes; the limit is {max_bytes:,}.", file=path)


def _one_channel(array: NDArray[Any], header: Header, warnings: list[str]) -> NDArray[Any]:
    """A picture of a mask: colours merged, alpha left out."""
    if header.alpha is not Alpha.NONE and array.ndim == 3:
        array = array[:, :, :-1]
        warnings.append("The mask's alpha channel is ignored.")
    if header.format in (Format.JPEG, Format.WEBP):
        warnings.append(f"The mask is a lossy {header.format}; 128 and more belongs to it.")
        array = array >= 128
    if array.ndim == 2:
        return array
    first = array[:, :, :1]
    if (array == first).all():
        return first[:, :, 0]
    warnings.append("The mask is in colour; every pixel that is not black belongs to it.")
    return np.asarray(array.any(axis=2))


def _to_planes(array: NDArray[Any], shape: tuple[int, int], warnings: list[str]) -> NDArray[Any]:
    """Bring the channel axis to the front and undo a transposition, by the picture's shape."""
    given = array.shape
    if array.ndim == 4 and 1 in (given[0], given[3]):
        array = array[0] if given[0] == 1 else array[..., 0]
        warnings.append("The mask has a fourth axis of length 1, left out.")
    turned = shape[::-1]
    if array.ndim == 2:
        if array.shape == turned != shape:
            warnings.append("The mask is transposed.")
            array = array.T
        return _not_empty(array[None], given, shape)
    if array.ndim != 3:
        raise Damaged(f"An array of shape {given} is not a mask.")
    if array.shape[1:] == shape:
        return array
    if array.shape[:2] == shape:
        warnings.append("The mask has its channels last.")
        return array.transpose(2, 0, 1)
    if array.shape[1:] == turned:
        warnings.append("The mask is transposed.")
        return array.transpose(0, 2, 1)
    if array.shape[:2] == turned:
        warnings.append("The mask is transposed and has its channels last.")
        return array.transpose(2, 1, 0)
    # Of another size: the channel axis is the short one.
    if array.shape[0] <= min(MOST_CHANNELS, array.shape[2]):
        return _not_empty(array, given, shape)
    if array.shape[2] <= MOST_CHANNELS:
        warnings.append("The mask has its channels last.")
        return _not_empty(array.transpose(2, 0, 1), given, shape)
    raise Damaged(f"An array of shape {given} is not a mask for {shape[0]} x {shape[1]} pixels.")


def _not_empty(
    planes: NDArray[Any], given: tuple[int, ...], shape: tuple[int, int]
) -> NDArray[Any]:
    if not planes.size:
        raise Damaged(
            f"An array of shape {given} is not a mask for {shape[0]} x {shape[1]} pixels."
        )
    return planes


def _to_binary(planes: NDArray[Any], warnings: list[str]) -> NDArray[np.bool_]:
    if planes.dtype.kind == "f" and not np.isfinite(planes).all():
        warnings.append("The mask holds NaN or infinity, taken as 0.")
        planes = np.nan_to_num(planes, nan=0, posinf=0, neginf=0)
    binary = np.asarray(planes != 0)
    if planes.dtype.kind != "b" and binary.any():
        on = planes[binary]
        if (on != on[0]).any():
            count = len(np.unique(on))
            warnings.append(f"The mask has {count} values besides 0; all of them belong to it.")
    return binary


def _resize(
    binary: NDArray[np.bool_], shape: tuple[int, int], warnings: list[str]
) -> NDArray[np.bool_]:
    """Nearest neighbour, the corners of both pictures being the same points."""
    (high, wide), (height, width) = binary.shape[1:], shape
    warnings.append(f"The mask is {wide} x {high}, resized to the picture's {width} x {height}.")
    rows = (np.arange(height) * 2 + 1) * high // (2 * height)
    columns = (np.arange(width) * 2 + 1) * wide // (2 * width)
    return np.asarray(binary[:, rows[:, None], columns])
