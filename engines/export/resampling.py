"""Resampling to a number of cells or by antialiased cubics, as products of matrices.

Exporters write adaptive pooling for the sizes that they were shown, which is wrong at any other,
and TensorRT has no antialiased resizing. Both are linear along each axis, so both are two products
with matrices of weights, and these follow from the sizes by a few comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_A = -0.5
"""Of the cubic: what PyTorch, as Pillow, takes where it antialiases."""


@contextmanager
def as_products() -> Iterator[None]:
    """In this block, PyTorch resamples by products of matrices where exporters cannot follow it."""
    own: Any = functional
    pool: Callable[..., Tensor] = own.adaptive_avg_pool2d
    interpolate: Callable[..., Tensor] = own.interpolate

    def pooled(given: Tensor, output_size: Any) -> Tensor:
        pair = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
        if None in pair or tuple(pair) == (1, 1):
            return pool(given, output_size)
        rows, columns = (shares(cells, side, given) for cells, side in
                         zip(pair, given.shape[2:], strict=True))  # fmt: skip
        product: Tensor = rows @ given @ columns.T
        return product

    def interpolated(input: Tensor, size: Any = None, *rest: Any, **named: Any) -> Tensor:
        if named.get("mode") != "bicubic" or not named.get("antialias") or size is None or rest \
                or named.get("align_corners"):  # fmt: skip
            return interpolate(input, size, *rest, **named)
        rows, columns = (cubics(cells, side, input) for cells, side in
                         zip(size, input.shape[2:], strict=True))  # fmt: skip
        return rows @ input @ columns.T

    own.adaptive_avg_pool2d, own.interpolate = pooled, interpolated
    try:
        yield
    finally:
        own.adaptive_avg_pool2d, own.interpolate = pool, interpolate


def shares(cells: int, side: int, like: Tensor) -> Tensor:
    """Weights (cells, side) of adaptive average pooling: cell i is the mean of the pixels from
    floor(i side / cells) to ceil((i + 1) side / cells).

    Args:
        cells: of the result.
        side: of what is pooled.
        like: gives dtype and device.
    """
    cell = torch.arange(cells, device=like.device)[:, None]  # (cells, 1)
    pixel = torch.arange(side, device=like.device)  # (side)
    inside = ((pixel + 1) * cells > cell * side) & (pixel * cells < (cell + 1) * side)
    weights = inside.to(like.dtype)  # (cells, side)
    return weights / weights.sum(1, keepdim=True)


def cubics(cells: int, side: int, like: Tensor) -> Tensor:
    """Weights (cells, side) of bicubic resizing with antialiasing, pixel centres at halves: the
    cubic is as wide as 4 pixels of the coarser grid.

    Args:
        cells: of the result.
        side: of what is resized.
        like: gives dtype and device.
    """
    cell = torch.arange(cells, device=like.device).to(like.dtype)[:, None] + 0.5  # (cells, 1)
    pixel = torch.arange(side, device=like.device).to(like.dtype) + 0.5  # (side)
    step = torch.full((1,), 1.0, dtype=like.dtype, device=like.device) * side / cells  # (1)
    apart = ((pixel - cell * step) / step.clamp(min=1.0)).abs()  # (cells, side)
    near = ((_A + 2) * apart - (_A + 3)) * apart * apart + 1
    far = (((apart - 5) * apart + 8) * apart - 4) * _A
    weights = torch.where(apart < 1, near, torch.where(apart < 2, far, torch.zeros_like(apart)))
    return weights / weights.sum(1, keepdim=True)
