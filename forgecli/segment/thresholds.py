"""The numbers between probabilities and instances. `forge tune` finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Policy = Literal["merged", "components", "matched"]
"""How pixels become instances. ``merged``: all of them are one. ``components``: each connected
component is one. ``matched``: components that show the same content are one; where a network has
a channel for each instance, each channel is one."""

Unit = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is needed to say that pixels, components and images hold a copied region.

    Attributes:
        pixel: probability from which a pixel belongs to a region.
        min_area: components (4-connected) of fewer pixels of the full-size image are dropped.
        quantile: which quantile of the image's probabilities is its score.
        gate: an image whose score is below this is authentic.
        instances: how pixels become instances.
        fused_gate: in `fused`, the score from which the network may speak where the matches are
            silent; None: it never may.
    """

    pixel: Unit = 0.5
    min_area: Pixels = 0
    quantile: Unit = 0.999
    gate: Unit = 0.5
    instances: Policy = "merged"
    fused_gate: Unit | None = None
