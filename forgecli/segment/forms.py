"""The forms of a picture that test-time augmentation shows to a network."""

from __future__ import annotations

from typing import Literal

Tta = Literal["none", "flip", "d4"]
"""Test-time augmentation. ``flip``: the picture, mirrored left to right, upside down, and both.
``d4``: these, and all of them turned by a quarter. The logits of all forms are averaged."""

Form = tuple[bool, bool, bool]
"""Whether rows are reversed, whether columns are, and whether the two are then swapped."""

_FLIPS: tuple[Form, ...] = tuple((down, across, False) for down in (False, True)
                                 for across in (False, True))  # fmt: skip
FORMS: dict[Tta, tuple[Form, ...]] = {
    "none": _FLIPS[:1],
    "flip": _FLIPS,
    "d4": (*_FLIPS, *((down, across, True) for down, across, _ in _FLIPS)),
}
