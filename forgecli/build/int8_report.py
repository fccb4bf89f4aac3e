"""What quantising a network to INT8 cost, and what it gained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forgecli.build.verdicts import Verdicts


@dataclass(frozen=True, slots=True)
class Int8Report:
    """What quantising cost, and what it gained.

    Attributes:
        file: the quantised network.
        calibrated: images whose activations gave the ranges.
        checked: other images, on which both networks were scored.
        fp32, int8: the metric of each, mean over the checked images.
        drop: `fp32` less `int8`.
        standard_error: of the drop, which is paired.
        changed: checked images whose score is another.
        tolerance: the drop that is allowed.
        accepted: whether the drop is below it; else the file was written because it was forced.
        speed: how many times as fast the network is here, median over the checked images.
    """

    file: Path
    calibrated: int
    checked: int
    fp32: float
    int8: float
    drop: float
    standard_error: float
    changed: int
    tolerance: float
    accepted: bool
    speed: float

    def __str__(self) -> str:
        return (
            f"INT8 scores {self.int8:.4f} and FP32 {self.fp32:.4f} on {self.checked} images: a "
            f"drop of {self.drop:+.4f} (standard error {self.standard_error:.4f}, "
            f"{self.changed} images changed); {self.speed:.1f} times as fast"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**dataclasses.asdict(self), "file": str(self.file)}


def compared(
    target: Path, calibrated: int, exact: Verdicts, quantised: Verdicts, tolerance: float
) -> Int8Report:
    """Two networks on the same images, image by image.

    Args:
        target: the file of the quantised one.
        calibrated: images that it was calibrated with.
        exact, quantised: what each of the two found on the other images.
        tolerance: how much lower the metric may be.
    """
    lost = exact.scores - quantised.scores
    error = float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else 0.0
    drop = float(lost.mean())
    return Int8Report(
        file=target,
        calibrated=calibrated,
        checked=len(lost),
        fp32=float(exact.scores.mean()),
        int8=float(quantised.scores.mean()),
        drop=drop,
        standard_error=error,
        changed=int((lost != 0).sum()),
        tolerance=tolerance,
        accepted=drop < tolerance,
        speed=float(np.median(exact.seconds / quantised.seconds)),
    )
