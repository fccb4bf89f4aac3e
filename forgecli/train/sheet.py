"""What a network sees, as one picture to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forgecli.segment.batch import Batch

_COLOURS = ((255, 200, 0), (0, 220, 255), (255, 0, 200), (120, 255, 0), (255, 120, 80))
_GAP = 4
_LABEL = 16


def contact_sheet(batch: Batch, *, columns: int = 4) -> NDArray[np.uint8]:
    """The crops of a batch side by side, each instance outlined in a colour of its own.

    With error-level analysis, its three channels are shown under the picture.

    Args:
        columns: crops in a row, at most. Their ids stand above them.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    tiles = [_tile(batch, number) for number in range(len(batch.case_ids))]
    columns = max(1, min(columns, len(tiles)))
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    shape = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3)
    sheet = np.full(shape, 96, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = _GAP + row * (height + _GAP), _GAP + column * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _tile(batch: Batch, number: int) -> NDArray[np.uint8]:
    import cv2

    channels = batch.images[number].cpu().numpy()
    planes = np.ascontiguousarray(channels.transpose(1, 2, 0))  # (H, W, C)
    shown = np.rint(planes * 255).astype(np.uint8)
    picture = np.ascontiguousarray(shown[..., :3])
    for index, mask in enumerate(batch.instances[number].cpu().numpy()):
        outlines, _ = cv2.findContours(
            np.ascontiguousarray(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, outlines, -1, _COLOURS[index % len(_COLOURS)], 1)
    label = np.zeros((_LABEL, picture.shape[1], 3), np.uint8)
    text = batch.case_ids[number].encode("ascii", "replace").decode()
    most = picture.shape[1] // 7
    place = (3, _LABEL - 5)
    cv2.putText(label, text[-most:], place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1)
    return np.vstack([label, picture, shown[..., 3:6]] if shown.shape[2] == 6 else [label, picture])
