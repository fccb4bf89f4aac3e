"""One image of a data set, looked at on its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.formats.header import Alpha
from forgecli.cases.header import open_regular, read_size
from forgecli.detection import Case, Label, Status
from forgecli.inspect.entries import Entry
from forgecli.inspect.mask_findings import read_truth
from forgecli.inspect.rows import Finding, ImageRow, Kind, Pixels, Triple

_BLOCK = 1 << 20


def examine(entry: Entry, max_pixels: int) -> ImageRow:
    """Read an image and its mask.

    Args:
        max_pixels: the most pixels that are decoded.

    Returns:
        its row, whatever is wrong with it.
    """
    row = ImageRow(entry.case_id, entry.part, entry.label, entry.path, entry.mask_path)
    try:
        row = _with_bytes(row, entry)
        row = _with_header(row, entry)
        row = _with_pixels(row, entry, max_pixels)
    except TooLarge as failure:
        row = _failed(row, Status.TOO_LARGE, Kind.TOO_LARGE, failure.what)
    except Unreadable as failure:
        row = _failed(row, Status.UNREADABLE, Kind.UNREADABLE, failure.what)
    except MemoryError:
        what = "there is not enough memory to decode it"
        row = _failed(row, Status.FAILED, Kind.FAILED, what)
    except Exception as error:  # noqa: BLE001 - one image never ends the run
        what = f"{type(error).__name__}: {error}"
        row = _failed(row, Status.FAILED, Kind.FAILED, what)
    return _with_truth(row, entry)


def lost(entry: Entry, reason: str) -> ImageRow:
    """The row of an image that took its reader with it."""
    row = ImageRow(entry.case_id, entry.part, entry.label, entry.path, entry.mask_path)
    return _failed(row, Status.FAILED, Kind.FAILED, reason)


def _failed(row: ImageRow, status: Status, kind: Kind, reason: str) -> ImageRow:
    return _add(replace(row, status=status), kind, reason)


def _add(row: ImageRow, kind: Kind, text: str) -> ImageRow:
    return replace(row, findings=(*row.findings, Finding(kind, row.path, text)))


def _with_bytes(row: ImageRow, entry: Entry) -> ImageRow:
    with open_regular(entry.image) as file:
        try:
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {error.strerror}.") from error
        return replace(row, sha256=digest.hexdigest(), size=file.tell())


def _with_header(row: ImageRow, entry: Entry) -> ImageRow:
    header = read_size(entry.image)
    return replace(
        row,
        format=header.format,
        height=header.height,
        width=header.width,
        channels=header.channels,
        bits=header.bits,
        alpha=header.alpha is not Alpha.NONE,
    )


def _with_pixels(row: ImageRow, entry: Entry, max_pixels: int) -> ImageRow:
    picture, warnings = read_picture(Case(entry.case_id, entry.image), max_pixels)
    for text in warnings:
        row = _add(row, Kind.ODD_FILE, text)
    pixels = pixels_of(picture.pixels)
    if not any(pixels.std):
        row = _add(row, Kind.BLANK, "all pixels have one value")
    return replace(row, pixels=pixels)


def pixels_of(pixels: NDArray[np.uint8]) -> Pixels:
    """What a picture is like.

    Args:
        pixels: uint8 (H, W, 3), RGB, C-contiguous.
    """
    digest = hashlib.sha256(str(pixels.shape).encode())  # processors have instructions for it
    digest.update(pixels.data)
    mean, std = cv2.meanStdDev(pixels)
    grey = _is_grey(pixels[:1]) and _is_grey(pixels)  # most colour shows in the first row
    return Pixels(digest.hexdigest(), _triple(np.asarray(mean)), _triple(np.asarray(std)), grey)


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(pixels)
    return np.array_equal(red, green) and np.array_equal(red, blue)


def _triple(column: NDArray[Any]) -> Triple:
    red, green, blue = (float(value) for value in column.ravel())
    return red, green, blue


def _with_truth(row: ImageRow, entry: Entry) -> ImageRow:
    if entry.mask is None:
        if entry.label == Label.FORGED:
            row = _add(row, Kind.NO_MASK, "there is no mask of its id")
        return row
    if not row.height or row.status is Status.TOO_LARGE:
        return replace(row, label=row.label or Label.FORGED)  # the mask's size cannot be judged
    truth, findings = read_truth(entry.mask, entry.mask_path, (row.height, row.width))
    label = row.label
    if not label:  # images and masks without folders for classes: an empty mask says authentic
        empty = truth is not None and not truth.areas
        label = Label.AUTHENTIC if empty else Label.FORGED
        findings = [each for each in findings if each.kind is not Kind.MASK_EMPTY]
    return replace(row, label=label, truth=truth, findings=(*row.findings, *findings))
