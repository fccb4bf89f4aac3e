"""Turn a region: rotation, mirror, scale, grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.outline import Outline
from forgecli.synth.recipe import Geometry, Tone

Linear = NDArray[np.float64]
"""float64 (2, 2)."""
Affine = NDArray[np.float64]
"""float64 (2, 3): (x, y, 1) of the source to (x, y) of the copy; pixel centres are at whole
numbers."""
Patch = NDArray[np.float32]
"""float32 (h, w, 3), 0 to 255."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a copy is turned about itself: first mirrored left to right, then rotated and scaled.

    Attributes:
        angle: degrees, counter-clockwise on the screen.
        scale: above 1 the copy is larger than its source.
    """

    angle: float = 0.0
    mirrored: bool = False
    scale: float = 1.0

    @property
    def linear(self) -> Linear:
        """The map without its shift, rows (x, y)."""
        radians = np.deg2rad(self.angle)
        cosine, sine = np.cos(radians), np.sin(radians)
        if self.angle % 90 == 0:
            cosine, sine = round(cosine), round(sine)
        turn = self.scale * np.array([[cosine, sine], [-sine, cosine]])
        return turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])

    @property
    def exact(self) -> bool:
        """Whether pixels fall on pixels, so that nothing is interpolated."""
        return self.scale == 1 and self.angle % 90 == 0

    def card(self) -> dict[str, float | bool]:
        """For the card of the image."""
        return {
            "angle": round(self.angle, 3),
            "mirrored": self.mirrored,
            "scale": round(self.scale, 4),
        }


def draw_turn(rng: np.random.Generator, geometry: Geometry, *, small: bool = False) -> Turn:
    """Draw a turn.

    Args:
        small: a few degrees and at most 10 % in size, as bands are turned.
    """
    angle, scale = 0.0, 1.0
    quarter = rng.random() < geometry.quarter_turn
    free = rng.random() < geometry.rotate
    mirrored = bool(rng.random() < geometry.mirror)
    scaled = rng.random() < geometry.scale
    low, high = geometry.scale_range
    if small:
        angle = float(rng.normal(0, 1.5)) if free else (180.0 if quarter else 0.0)
        low, high = max(low, 0.9), min(high, 1.1)
    elif free:
        angle = float(rng.uniform(3, 357))
    elif quarter:
        angle = float(rng.choice([90.0, 180.0, 270.0]))
    if scaled and low < high:
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return Turn(angle, mirrored, scale)


def local_map(outline: Outline, turn: Turn, margin: int) -> tuple[Affine, tuple[int, int]]:
    """Place a turned region in a frame of its own.

    Args:
        margin: pixels left free on all sides of the frame.

    Returns:
        the map from the image into the frame, and the frame's (height, width).
    """
    height, width = outline.mask.shape
    left, top = outline.x, outline.y
    corners = np.array(
        [
            [left, top],
            [left + width - 1, top],
            [left, top + height - 1],
            [left + width - 1, top + height - 1],
        ],
        np.float64,
    )
    turned = corners @ turn.linear.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    if not turn.exact:  # half a pixel of the outermost source pixels lies beyond their centres
        low, high = low - turn.scale / 2, high + turn.scale / 2
    low, high = np.floor(low + 1e-9), np.ceil(high - 1e-9)
    shift = margin - low
    size = (high - low).astype(int) + 1 + 2 * margin
    return np.hstack([turn.linear, shift[:, None]]), (int(size[1]), int(size[0]))


def warp(
    pixels: NDArray[np.uint8] | NDArray[np.float32],
    affine: Affine,
    shape: tuple[int, int],
    interpolation: int,
    *,
    outside: float | None = None,
) -> NDArray[np.float32]:
    """Render an image through a map, float32 (h, w) or (h, w, 3).

    Args:
        outside: the value beyond the image's border; None mirrors the image there.
    """
    border = cv2.BORDER_REFLECT_101 if outside is None else cv2.BORDER_CONSTANT
    rendered = cv2.warpAffine(
        pixels.astype(np.float32),
        affine,
        (shape[1], shape[0]),
        flags=interpolation,
        borderMode=border,
        borderValue=0.0 if outside is None else outside,
    )
    return np.asarray(rendered, np.float32)


def inverse(affine: Affine) -> Affine:
    """The map back."""
    back = np.linalg.inv(affine[:, :2])
    return np.hstack([back, -(back @ affine[:, 2:])])


def then(first: Affine, second: Affine) -> Affine:
    """One map after another."""
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def scaled_by(across: float, down: float) -> Affine:
    """The map of an image onto itself resized: edges, not pixel centres, stay in place."""
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])


def draw_interpolation(rng: np.random.Generator, turn: Turn) -> int:
    """An OpenCV interpolation as image editors offer them."""
    if turn.exact:
        return int(cv2.INTER_NEAREST)
    return int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC]))


def change_tone(
    rng: np.random.Generator, patch: Patch, tone: Tone, ground: NDArray[np.float32] | None = None
) -> tuple[Patch, dict[str, float | bool]]:
    """Change the grey levels of a copy.

    Args:
        patch: what is to be pasted.
        ground: float32 (3,), the level that stays as it is, which is that around the region, so
            that its edge does not give it away. None for a panel, where stronger means are used.

    Returns:
        the changed patch, and what was done, for the card.
    """
    done: dict[str, float | bool] = {}
    strength = 1.0 if ground is None else 0.6
    if ground is None:
        if rng.random() < tone.invert:
            patch = 255 - patch
            done["inverted"] = True
        # The darkest part of a dark image, the lightest of a light one.
        dark = patch.mean(axis=(0, 1)) < 128
        ground = np.where(dark, patch.min(axis=(0, 1)), patch.max(axis=(0, 1)))
    if rng.random() < tone.gamma:
        gamma = float(rng.uniform(*tone.gamma_range)) ** strength
        level = np.clip(patch, 0, 255) / 255
        kept = ground - 255 * (np.clip(ground, 0, 255) / 255) ** gamma
        patch = (255 * level**gamma + kept).astype(np.float32)
        done["gamma"] = round(gamma, 3)
    if rng.random() < tone.contrast:
        gain = float(rng.uniform(*tone.contrast_range)) ** strength
        patch = ((patch - ground) * gain + ground).astype(np.float32)
        done["contrast"] = round(gain, 3)
    if rng.random() < tone.brightness:
        shift = float(rng.uniform(*tone.brightness_range)) * (strength if strength == 1 else 0.3)
        patch = patch + np.float32(shift)
        done["brightness"] = round(shift, 2)
    if rng.random() < tone.blur:
        sigma = float(rng.uniform(*tone.blur_range))
        if sigma > 0:
            patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), sigma), np.float32)
            done["blur"] = round(sigma, 3)
    if rng.random() < tone.noise:
        sigma = float(rng.uniform(*tone.noise_range))
        patch = patch + noise_like(rng, patch, sigma)
        done["noise"] = round(sigma, 3)
    return np.clip(patch, 0, 255).astype(np.float32), done


def noise_like(rng: np.random.Generator, patch: Patch, sigma: float) -> Patch:
    """White noise of the shape of a patch, equal in all channels where the patch is grey."""
    height, width = patch.shape[:2]
    if np.array_equal(patch[:, :, 0], patch[:, :, 1]):
        one = rng.normal(0, sigma, (height, width, 1)).astype(np.float32)
        return np.repeat(one, 3, axis=2)
    return rng.normal(0, sigma, patch.shape).astype(np.float32)
