"""Pictures as a network's input, for what has to see typical values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Images, Logits, Spec
from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case
from forgecli.segment.maps import logits_of
from forgecli.segment.preprocess import Preprocess

_TILES = 4
"""Tiles of one picture, at most: many pictures say more than many tiles of one."""


class Calibration:
    """What a network is given when it looks at pictures. Every walk over it reads them anew.

    Args:
        cases: the pictures; those that cannot be read are left out.
        spec: of the network.
        preprocess: how it sees pictures.
    """

    def __init__(self, cases: Sequence[Case], spec: Spec, preprocess: Preprocess) -> None:
        self._cases = cases
        self._spec = spec
        self._preprocess = preprocess

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """float32 (1, C, H, W), one for each view of a picture."""
        for case in self._cases:
            try:
                picture, _ = read_picture(case)
            except (Unreadable, TooLarge):
                continue
            recorder = _Recorder(self._spec)
            logits_of(picture.pixels, recorder, self._preprocess, batch=1)
            step = max(1, -(-len(recorder.seen) // _TILES))
            yield from recorder.seen[::step]

    def __len__(self) -> int:
        """How many there are; looks at all pictures."""
        return sum(1 for _ in self)


class _Recorder(Engine):
    """Keeps what it is given."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.seen: list[Images] = []

    def _infer(self, images: Images) -> Logits:
        self.seen.append(images)
        return np.zeros((len(images), self.spec.outputs, *images.shape[2:]), np.float32)
