"""Which matches lie on what may be evidence.

The edge of a panel is straight, sharp and half empty, and so is that of every other panel: patches
on two of them agree better than any copy does, under many maps. What they grow into lies on gutters
and is no evidence, but in a figure of several panels it would take most places from copies.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage
from forgecli.match.panels import Layout
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings


def share_around(mask: Mask, radius: int) -> FloatImage:
    """Share of a mask in the square around every pixel, float32 (H, W).

    Args:
        mask: bool (H, W).
        radius: of the square, 2 * radius + 1 pixels wide; what is beyond the image does not count.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    inside = cv2.blur(mask.astype(np.float32), size, borderType=cv2.BORDER_CONSTANT)
    known = cv2.blur(np.ones(mask.shape, np.float32), size, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(inside / known, np.float32)


def in_panels(layout: Layout, settings: MatchSettings) -> Mask:
    """Pixels whose surroundings may lie in a panel, bool (H, W): panels, and a margin around those
    so low or narrow that a patch never lies inside, such as strips of blots."""
    inside = np.asarray(layout.index >= 0)
    radius = settings.patch_radius
    for panel in layout.panels:
        if min(panel.width, panel.height) < 2 * (2 * radius + 1):
            around = panel.grown(radius, inside.shape)
            inside[around.top : around.bottom, around.left : around.right] = True
    return inside


def on_evidence(
    matches: Matches, usable: Mask, settings: MatchSettings, inside: Mask | None = None
) -> NDArray[np.bool_]:
    """Which matches lie on evidence at both ends, and not on the edge of a panel; bool (n,).

    The plain ground of a panel is no evidence, but what stands on it may be: so the two are asked
    for apart.

    Args:
        matches: float64 (n, 8), of any source.
        usable: bool (H, W), what may be evidence.
        settings: `patch_radius`, `usable_share`, `patch_share`.
        inside: bool (H, W), pixels of panels, of any kind; None: all.
    """
    radius = settings.patch_radius
    good = share_around(usable, radius) >= settings.usable_share
    if inside is not None:
        good &= share_around(inside, radius) >= settings.patch_share
    limit = np.array(usable.shape[::-1]) - 1
    ends = np.clip(np.rint(matches[:, :4].reshape(-1, 2, 2)), 0, limit).astype(np.int64)
    return np.asarray(good[ends[..., 1], ends[..., 0]].all(axis=1))
