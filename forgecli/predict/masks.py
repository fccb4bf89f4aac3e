"""Masks of flagged images as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from forgecli.atomic import atomic_writer
from forgecli.detection import Instance


def write_mask(
    path: Path,
    instances: Sequence[Instance],
    shape: tuple[int, int],
    mask_format: Literal["npy", "png"],
) -> None:
    """Write the instances of one image.

    Args:
        path: the file to make, with its suffix.
        instances: at least one.
        shape: (H, W) of the image.
        mask_format: ``npy``: uint8 0/1 (N, H, W), one channel per instance. ``png``: one 8-bit
            grey picture, 255 where any instance is, else 0.

    Raises:
        OutputError: the file cannot be written.
    """
    from kernels.rle import decode

    if mask_format == "npy":
        with atomic_writer(path, "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(instances), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for instance in instances:  # one channel in memory at a time
                file.write(decode(instance.runs, shape).view(np.uint8).data)
        return

    import cv2

    union = np.zeros(shape, np.uint8)
    for instance in instances:
        union |= decode(instance.runs, shape).view(np.uint8)
    union *= 255
    _, encoded = cv2.imencode(".png", union)
    with atomic_writer(path, "wb") as file:
        file.write(encoded.data)
