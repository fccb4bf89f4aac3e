"""An exported network against the checkpoint, on pictures and on the metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Images, Logits, Spec
from forgecli.bench.pictures import micrograph
from forgecli.build import limits
from forgecli.segment.preprocess import channels_of

LARGE, NARROW, LOW = 256, 160, 96
"""Sides of the pictures, in pixels: one square, and a batch of wide ones."""

COPIED = 40
"""Side of the copied square, in pixels; a third of the picture at most."""


Form = Literal["network", "fp32", "fp16"]
"""A network as it is checked: itself, by torch, and its two files."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A number that was measured, and what it may be.

    Attributes:
        name: for the record.
        what: in words.
        value: not above `limit` if all is well.
        limit: None where it is told only.
        not_finite: what gave values that are not finite numbers; of several the first, from which
            the others are made. None: nothing did.
    """

    name: str
    what: str
    value: float
    limit: float | None = None
    not_finite: Form | None = None

    @property
    def good(self) -> bool:
        """Whether it is within its limit, and of finite numbers."""
        return self.not_finite is None and (self.limit is None or self.value <= self.limit)


def record(findings: Iterable[Finding]) -> dict[str, Any]:
    """Findings as plain JSON values; ``beyond`` names those that were passed over by --force."""
    found = list(findings)
    values: dict[str, Any] = {finding.name: finding.value for finding in found}
    return values | {"beyond": [finding.name for finding in found if not finding.good]}


def drawn(spec: Spec) -> list[Images]:
    """Pictures as a network takes them: float32 (1, C, H, W) and (2, C, h, w), of two sizes unless
    the network takes one only.

    Cells on an uneven ground with a camera's noise, one region of each copied elsewhere: textures,
    edges and flat parts, as real pictures have.
    """
    sizes = [_up(LARGE, spec.multiple), _up(LOW, spec.multiple), _up(NARROW, spec.multiple)]
    shapes = [spec.size or (sizes[0], sizes[0]), spec.size or (sizes[1], sizes[2])]
    return [
        np.stack([_drawn(shape, spec.channels, seed + number) for number in range(count)])
        for seed, (count, shape) in enumerate(zip((1, 2), shapes, strict=True))
    ]


def against_torch(
    torch: Engine, onnx: Engine, batches: Sequence[Images], *, searches: bool = False
) -> list[Finding]:
    """The FP32 file against the network itself.

    Args:
        torch: the network.
        onnx: the file.
        batches: as they take them.
        searches: whether the network chooses among matches, see `limits.PROBABILITY`.
    """
    worst, moved, stray, count = 0.0, 0.0, 0, 0
    broken: set[Form] = set()
    for images in batches:
        expected, found = torch.infer(images), onnx.infer(images)
        broken |= _not_finite(network=expected, fp32=found)
        scale = max(1.0, float(np.abs(expected).max()))
        with np.errstate(invalid="ignore"):  # infinite less infinite
            apart = np.abs(found - expected.astype(np.float64)) / scale
        worst = max(worst, largest(apart))
        moved = max(moved, largest(np.abs(probabilities(found) - probabilities(expected))))
        stray += int((~(apart <= limits.LOGITS)).sum())
        count += apart.size
    name = "FP32 against torch: "
    first = _first(broken)
    return [
        Finding("logits", name + "largest difference of logits, relative",
                worst, None if searches else limits.LOGITS, first),
        Finding("logits_share", f"{name}share of logits beyond {limits.LOGITS:g}", stray / count),
        Finding("probability_torch", name + "largest difference of a probability",
                moved, limits.PROBABILITY if searches else None, first),
    ]  # fmt: skip


def against_full(full: Engine, half: Engine, batches: Sequence[Images]) -> list[Finding]:
    """The FP16 file against the FP32 file, on maps of probabilities."""
    worst, total, count = 0.0, 0.0, 0
    broken: set[Form] = set()
    for images in batches:
        expected, found = full.infer(images), half.infer(images)
        now = _not_finite(fp32=expected, fp16=found)
        broken |= now
        apart = np.abs(probabilities(found) - probabilities(expected))
        # An infinite logit is a good probability, and no detector takes it.
        worst = math.inf if now else max(worst, largest(apart))
        total += float(apart.sum())
        count += apart.size
    return [
        Finding("probability", "FP16 against FP32: largest difference of a probability",
                worst, limits.PROBABILITY, _first(broken)),
        Finding("probability_mean", "FP16 against FP32: mean difference of probabilities",
                total / count, limits.PROBABILITY_MEAN, _first(broken)),
    ]  # fmt: skip


def _not_finite(**logits: Logits) -> set[Form]:
    """Those of the forms whose logits are not all finite."""
    forms: tuple[Form, ...] = get_args(Form)
    return {form for form in forms if form in logits and not np.isfinite(logits[form]).all()}


def _first(broken: set[Form]) -> Form | None:
    forms: tuple[Form, ...] = get_args(Form)
    return next((form for form in forms if form in broken), None)


def _drawn(shape: tuple[int, int], channels: int, seed: int) -> NDArray[np.float32]:
    pixels = micrograph(shape, np.random.default_rng(seed))
    side = min(COPIED, shape[0] // 3, shape[1] // 3)
    pixels[-side - 1 : -1, -side - 1 : -1] = pixels[1 : side + 1, 1 : side + 1]
    return channels_of(pixels, ela=channels == 6)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of logits of any shape."""
    # Written so that no exponential overflows; NaN stays NaN.
    small = np.exp(-np.abs(logits.astype(np.float64)))
    return np.asarray(np.where(logits >= 0, 1 / (1 + small), small / (1 + small)))


def largest(values: NDArray[Any]) -> float:
    """The largest value; infinite if one is not a number."""
    found = float(values.max())
    return math.inf if math.isnan(found) else found


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
