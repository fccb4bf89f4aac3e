"""The pictures that are timed: the user's own, or drawn ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import read_picture
from forgecli.cases.discover import discover
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case
from forgecli.errors import UsageError

DRAWN = ((512, 640), (700, 900), (1024, 1024), (900, 1400), (480, 480), (1600, 1200))
"""(H, W) of the drawn pictures; those of the competition have a median long side of 1,123."""


def readable(named: Sequence[str | Path], most: int, warn: Callable[[str], None]) -> list[Case]:
    """Some of the images that a user names, evenly spread over those there are.

    Args:
        named: files, folders, patterns.
        most: how many at most.
        warn: told how many could not be read.

    Raises:
        UsageError: there are none that can be read.
    """
    cases = discover(named, id_from="path")
    count = min(most, len(cases))
    chosen = [cases[index * len(cases) // count] for index in range(count)]
    good = [case for case in chosen if _can_be_read(case)]
    if not good:
        raise UsageError(
            "none of the images can be read.",
            mend="forge predict says of each what is wrong with it",
        )
    if len(good) < count:
        warn(f"{count - len(good)} of {count} images cannot be read: left out")
    return good


def drawn(folder: Path) -> list[Case]:
    """Drawn pictures, cells and texture on a noisy ground: PNG and JPEG of 0.2 to 1.9 Mpx."""
    import cv2

    cases = []
    for number, shape in enumerate(DRAWN):
        pixels = micrograph(shape, np.random.default_rng(number))
        file = folder / f"{number}.{'jpg' if number % 3 == 2 else 'png'}"
        cv2.imwrite(str(file), pixels[:, :, ::-1])
        cases.append(Case(file.stem, file))
    return cases


def micrograph(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): round cells on an uneven ground, with the noise of a camera."""
    import cv2

    height, width = shape
    ground = rng.uniform(-20, 20, (6, 6, 3)).astype(np.float32)
    picture = np.ascontiguousarray(
        170 + cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    )
    for _ in range(height * width // 4000):
        at = int(rng.integers(width)), int(rng.integers(height))
        colour = [float(level) for level in rng.uniform(40, 150, 3)]
        cv2.circle(picture, at, int(rng.integers(5, 22)), colour, -1, cv2.LINE_AA)
    noisy = cv2.GaussianBlur(picture, (0, 0), 1.2) + rng.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _can_be_read(case: Case) -> bool:
    try:
        read_picture(case)
    except (Unreadable, TooLarge):
        return False
    return True
