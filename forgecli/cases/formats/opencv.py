"""cv2 as the decoder of last resort, for what is rare."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Damaged


def decode_with_cv2(data: bytes) -> NDArray[Any]:
    """Decode with `cv2.imdecode` and IMREAD_UNCHANGED: (H, W) or (H, W, 3 | 4) in RGB(A) order.

    Raises:
        Damaged: cv2 does not know the kind, or notices damage.
    """
    import cv2

    _silence()
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise Damaged("The pixels are damaged, or of a kind that is not read here.")
    if pixels.ndim == 3:
        with_alpha = pixels.shape[2] == 4
        cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if with_alpha else cv2.COLOR_BGR2RGB, pixels)
    return np.asarray(pixels)


@cache
def _silence() -> None:
    """Once: cv2 would write about a file's oddities across the terminal; users get warnings."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
