"""Engines that compute what a test can check by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.base import Engine, Images, Logits, Spec


class FakeEngine(Engine):
    """Applies a function to every batch. `batches` holds how large they were."""

    def __init__(
        self,
        function: Callable[[Images], Logits],
        *,
        multiple: int = 8,
        size: tuple[int, int] | None = None,
        outputs: int = 1,
        channels: int = 3,
    ) -> None:
        self.spec = Spec(channels=channels, multiple=multiple, size=size, outputs=outputs)
        self._function = function
        self.batches: list[int] = []
        self.closed = False

    def _infer(self, images: Images) -> Logits:
        self.batches.append(len(images))
        return np.ascontiguousarray(self._function(images), np.float32)

    def close(self) -> None:
        self.closed = True


def red(images: Images) -> Logits:
    """The first channel: a network that looks at one pixel for each."""
    return images[:, :1]


def constant(value: float) -> Callable[[Images], Logits]:
    """The same everywhere."""
    return lambda images: np.full((len(images), 1, *images.shape[2:]), value, np.float32)


def red_plus_ramp(images: Images) -> Logits:
    """Depends on where a pixel is: its column, and twice its row, from the middle."""
    height, width = images.shape[2:]
    rows = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    columns = np.arange(width, dtype=np.float32) - (width - 1) / 2
    return images[:, :1] + columns + 2 * rows
