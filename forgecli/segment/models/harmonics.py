"""Circular harmonics: what a round patch looks like, whichever way it is turned.

A patch is described by its inner products with ring x angular wave, ``R(rho) exp(-i m phi)``.
Turning the patch by t multiplies the moment of order m by ``exp(-i m t)``; mirroring it conjugates
all of them. So one set of moments compares two patches at every angle, mirrored or not, and the
products of two moments of one order do not depend on the angle at all. (Hsu & Arsenault, 1982.
Zernike and polar cosine moments are of the same family; copy-move detection has used them since
Ryu et al., 2010, and Cozzolino et al., 2015.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

RINGS = ((0.0, 0.9, 0), (2.2, 1.0, 2), (4.4, 1.2, 4), (6.8, 1.4, 6))
"""Radius and width of each ring in pixels, and the highest order that its pixels can hold."""

RADIUS = 9
"""Pixels from the middle to the edge of the filters."""

SPREAD = (0.369, 0.596, 0.347, 0.688, 0.482, 0.855, 1.204, 0.244,
          0.497, 0.737, 0.324, 0.519, 0.230, 0.391, 0.296, 0.234)  # fmt: skip
"""Standard deviation of each moment over scientific images; their square roots even them out, so
that fine waves count too, but not as much as coarse ones, which survive scaling and JPEG."""

FLOOR = 0.004
"""Contrast, in units of white, under which a patch is flat: it then resembles nothing."""


class CircularHarmonics(nn.Module):
    """Moments of the patches of an image, and their comparison.

    Rows of moments are float32 (..., 2 J): J real parts, then J imaginary parts, of about unit
    length; so the comparison of two rows is a correlation coefficient. Everything is computed in
    float32, whatever autocast or the network's own precision says: the moments are sums in which
    half precision would lose what distinguishes a copy from a look-alike.

    Attributes:
        angles: (T,) in radians, at which patches are compared.
    """

    filters: Tensor
    angles: Tensor
    cosines: Tensor
    sines: Tensor
    weights: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, angles: int = 24) -> None:
        super().__init__()
        filters, orders = harmonic_filters()
        self.moments = len(orders)
        self.scalars = orders.count(0)
        pairs = [(i, j) for i in range(len(orders)) for j in range(i, len(orders))
                 if orders[i] == orders[j] > 0]  # fmt: skip
        order = torch.tensor(orders, dtype=torch.float32)
        turns = torch.arange(angles) * (2 * math.pi / angles)
        weights = torch.tensor(SPREAD).rsqrt()
        for name, constant in {
            "filters": filters,
            "angles": turns,
            "cosines": torch.cos(order[:, None] * turns),  # (J, T)
            "sines": torch.sin(order[:, None] * turns),  # (J, T)
            "weights": (weights / weights.norm()).repeat(2),  # (2 J)
            "first": torch.tensor([i for i, _ in pairs]),
            "second": torch.tensor([j for _, j in pairs]),
        }.items():
            self.register_buffer(name, constant, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves to devices are followed, changes of precision are not."""

        def moved(value: Tensor) -> Tensor:
            given = fn(value)
            return given if given.dtype == value.dtype else value.to(given.device)

        return cast(Self, super()._apply(moved, recurse))  # type: ignore[no-untyped-call]

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Moments around every pixel.

        Args:
            grey: float (N, 1, H, W) from 0 to 1.

        Returns:
            Rows of moments (N, H, W, 2 J) of the patches, and their contrast (N, H, W).
        """
        padded = functional.pad(grey.float(), (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate")
        raw = functional.conv2d(padded, self.filters)  # (N, 2 J, H, W)
        rows = raw.permute(0, 2, 3, 1) * self.weights  # (N, H, W, 2 J)
        contrast = (rows.square().sum(3, keepdim=True) + 1e-12).sqrt()  # (N, H, W, 1)
        return rows / (contrast + FLOOR), contrast[..., 0]

    def invariants(self, rows: Tensor) -> Tensor:
        """Unit vectors (..., D) that turning and mirroring the patch do not change."""
        real, imaginary = self._parts(rows)  # (..., J) each
        gram = (real[..., self.first] * real[..., self.second]
                + imaginary[..., self.first] * imaginary[..., self.second])  # fmt: skip
        signed = gram.sign() * (gram.abs() + 1e-12).sqrt()  # (..., pairs)
        joined = torch.cat([real[..., : self.scalars], signed], -1)  # (..., D)
        return functional.normalize(joined, dim=-1, eps=1e-3)

    def best(self, rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare patches at all angles, as they are and mirrored.

        Args:
            rows: (..., 2 J).
            others: (..., 2 J).

        Returns:
            (...) each: the highest correlation, the index of the angle by which the patch is
            turned in the other place, and whether it is mirrored there.
        """
        same, cross, skew, flip = self._products(rows, others)  # (..., J) each
        plain, at = ((same + cross) @ self.cosines + (skew - flip) @ self.sines).max(-1)
        mirror, mirror_at = ((same - cross) @ self.cosines - (skew + flip) @ self.sines).max(-1)
        mirrored = mirror > plain
        return torch.maximum(plain, mirror), torch.where(mirrored, mirror_at, at), mirrored

    def compare(self, rows: Tensor, others: Tensor, angle: Tensor, mirrored: Tensor) -> Tensor:
        """Correlations (...) of patches at given angles (indices) and mirroring (...)."""
        same, cross, skew, flip = self._products(rows, others)  # (..., J) each
        sign = torch.where(mirrored, -1.0, 1.0)[..., None]  # (..., 1)
        cosines, sines = self.cosines.T[angle], self.sines.T[angle]  # (..., J)
        return ((same + sign * cross) * cosines + (sign * skew - flip) * sines).sum(-1)

    def _parts(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return rows[..., : self.moments], rows[..., self.moments :]

    def _products(self, rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (a, b), (c, d) = self._parts(rows), self._parts(others)  # (..., J) each
        return a * c, b * d, b * c, a * d


def harmonic_filters() -> tuple[Tensor, list[int]]:
    """Filters float32 (2 J, 1, k, k), real parts then imaginary, and the order of each of the J.

    Each pair has unit length. All sum to zero, so brightness does not matter.
    """
    axis = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    radius, angle = torch.hypot(down, right), torch.atan2(down, right)
    window = torch.exp(-radius.square() / (2 * 4.5**2))
    window /= window.sum()
    real, imaginary, orders = [], [], []
    for order in range(max(top for _, _, top in RINGS) + 1):
        for ring, width, top in RINGS:
            if order > top:
                continue
            profile = torch.exp(-(radius - ring).square() / (2 * width**2))
            if order > 0:
                profile[RADIUS, RADIUS] = 0  # the middle has no angle
            cosine, sine = profile * torch.cos(order * angle), -profile * torch.sin(order * angle)
            cosine = cosine - cosine.sum() * window
            length = (cosine.square().sum() + sine.square().sum()).sqrt()
            real.append(cosine / length)
            imaginary.append(sine / length)
            orders.append(order)
    return torch.stack(real + imaginary)[:, None].float(), orders
