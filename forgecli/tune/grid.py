"""The settings that are tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forgecli.segment.thresholds import Policy


def _probability(logit: float) -> float:
    """Rounded so that the checkpoint's JSON shows a number that people can read."""
    from math import exp

    return float(f"{1 / (1 + exp(-logit)):.6g}")


_LOGITS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.5, 8.0)

PIXELS = tuple(_probability(x) for x in sorted({sign * x for x in _LOGITS for sign in (-1, 1)}))
"""Even in log-odds, so dense near 0 and 1, where the probabilities of most pixels are."""

MIN_AREAS = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Pixels of the full-size image. The smallest copies that people outline have some 30."""

QUANTILES = (0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 1.0)


@dataclass(frozen=True, slots=True)
class Grid:
    """Settings to try, every one with every other. Gates are not here: all of them are tried.

    Attributes:
        pixels: probabilities from which a pixel belongs to a region, ascending.
        min_areas: in pixels of the full-size image, ascending.
        quantiles: of the image's probabilities, ascending.
        policies: how pixels become instances; of two that score alike the first is taken.
    """

    pixels: tuple[float, ...] = PIXELS
    min_areas: tuple[int, ...] = MIN_AREAS
    quantiles: tuple[float, ...] = QUANTILES
    policies: tuple[Policy, ...] = ("merged", "components")

    def __post_init__(self) -> None:
        for name in ("pixels", "min_areas", "quantiles", "policies"):
            values = getattr(self, name)
            ordered = name == "policies" or list(values) == sorted(values)
            if not values or len(set(values)) != len(values) or not ordered:
                raise ValueError(f"{name} is to hold different values, ascending. Got: {values}")

    def with_policies(self, policies: tuple[Policy, ...]) -> Grid:
        """The same grid with other ways to make instances; repeated ones count once."""
        return replace(self, policies=tuple(dict.fromkeys(policies)))


COARSE = Grid(
    pixels=tuple(_probability(x) for x in (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)),
    min_areas=(0, 32, 256),
    quantiles=(0.99, 0.999, 1.0),
    policies=("merged",),
)
"""What validation during training tries: enough to rank epochs, at a third of the work."""
