"""From a picture to a map of logits at its full size.

Predicting, validating during training and tuning all come through here, so that a threshold means
the same in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Images, Logits
from forgecli.segment.forms import FORMS, Form, Tta
from forgecli.segment.preprocess import Pixels, Preprocess, channels_of, padded, to_input
from kernels.resize import enlarge

LogitMap = NDArray[np.float32]
"""float32 (K, H, W): log-odds of every pixel of a picture; K as `Spec.outputs`."""


class NotFinite(ValueError):
    """A network gave values that are not finite numbers."""


def logits_of(
    pixels: Pixels, engine: Engine, preprocess: Preprocess, tta: Tta = "none", *, batch: int = 8
) -> LogitMap:
    """The map of a picture.

    With the view ``resize``, logits are enlarged (or reduced) bilinearly by
    `kernels.resize.enlarge`, which a GPU repeats to the last bit. With ``tile``, what
    several tiles say of a pixel is averaged with weights that fall smoothly to the tiles' rims
    (a raised cosine), since a network sees less around a pixel there.

    A network with a channel for each instance numbers them anew in every tile and form: where there
    are several, the highest of its channels is taken of each, and the map has one channel.

    Args:
        pixels: uint8 (H, W, 3), RGB, any size of 1 x 1 or more.
        engine: where it takes one size only, that size is the view, not `preprocess.size`.
        preprocess: how the network sees pictures.
        tta: see `Tta`.
        batch: tiles and forms that the engine gets at once, at most.

    Returns:
        float32 (K, H, W), K as `Spec.outputs` or 1.

    Raises:
        ValueError: the picture is empty; the engine has another number of channels than
            `preprocess`; a tile is not a multiple of the engine's; ``d4`` with an engine of one
            size that is not square.
        NotFinite: the network gave what is not a number.
    """
    spec = engine.spec
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"a picture is uint8 (H, W, 3). Got: {pixels.dtype} {pixels.shape}")
    if spec.channels != preprocess.channels:
        raise ValueError(
            f"the network takes {spec.channels} channels, and ela = {preprocess.ela} makes "
            f"{preprocess.channels}"
        )
    if tta == "d4" and spec.size is not None and spec.size[0] != spec.size[1]:
        raise ValueError(f"d4 turns pictures, and this engine takes {spec.size} only")
    forms = FORMS[tta]
    if spec.outputs > 1 and (len(forms) > 1 or preprocess.view == "tile"):
        engine = _Highest(engine)
    if preprocess.view == "resize":
        logits = _whole(pixels, engine, preprocess, forms, batch)
    else:
        logits = _tiled(pixels, engine, preprocess, forms, batch)
        _require_finite(logits)
    return logits


def _require_finite(logits: NDArray[np.float32]) -> None:
    # A sum is not finite if any of its terms is not; one pass without a map of booleans.
    if not math.isfinite(float(logits.sum(dtype=np.float64))):
        raise NotFinite("the network gave values that are not finite numbers")


class _Highest(Engine):
    """An engine that gives the highest of another's channels."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.spec = replace(engine.spec, outputs=1)

    def _infer(self, images: Images) -> Logits:
        highest: Logits = self._engine.infer(images).max(axis=1, keepdims=True)
        return highest


def _whole(
    pixels: Pixels, engine: Engine, preprocess: Preprocess, forms: tuple[Form, ...], batch: int
) -> LogitMap:
    """The map of the view ``resize``."""
    height, width = pixels.shape[:2]
    prepared = to_input(pixels, preprocess, engine.spec.multiple, engine.spec.size)
    seen = _averaged(prepared.array[None], engine, forms, batch)[0]  # (K, h, w)
    seen = seen[:, : prepared.shape[0], : prepared.shape[1]]
    _require_finite(seen)
    return at_full_size(seen, (height, width))


def at_full_size(seen: NDArray[np.float32], shape: tuple[int, int]) -> LogitMap:
    """The map of a picture from what the network said of its view.

    Args:
        seen: float32 (K, h, w), without padding.
        shape: (H, W) of the picture.
    """
    if seen.shape[1:] == shape:
        return np.ascontiguousarray(seen)
    if len(seen) == 1:
        return enlarge(seen[0], shape)[None]
    return np.stack([enlarge(channel, shape) for channel in seen])


@dataclass(frozen=True, slots=True)
class Cuts:
    """How one side of a picture is cut into overlapping pieces.

    Attributes:
        length: of every piece, padding included.
        starts: where they begin, ascending, evenly spread; the last ends at the picture's end,
            unless there is one only.
    """

    length: int
    starts: tuple[int, ...]

    @classmethod
    def of(cls, side: int, size: int, overlap: float, shortest: int) -> Cuts:
        """Cut a side.

        Args:
            side: of the picture, in pixels.
            size: of a piece.
            overlap: share of a piece that the next one covers as well, at least.
            shortest: a picture shorter than `size` is one piece of a multiple of this.
        """
        if side <= size:
            return cls(-(-side // shortest) * shortest, (0,))
        step = max(1, int(size * (1 - overlap)))
        count = 1 + -(-(side - size) // step)
        return cls(size, tuple(round(i * (side - size) / (count - 1)) for i in range(count)))

    def weights(self) -> NDArray[np.float32]:
        """float32 (length,): a raised cosine, positive everywhere."""
        phase = (np.arange(self.length) + 0.5) * (np.pi / self.length)
        return np.asarray(np.sin(phase) ** 2, np.float32)


def _tiled(
    pixels: Pixels, engine: Engine, preprocess: Preprocess, forms: tuple[Form, ...], batch: int
) -> LogitMap:
    """The map of the view ``tile``.

    Tiles are averaged within a row of them, and rows of them with each other, each by a running
    mean: of equal values it is exactly that value, whatever the weights. Beside the map itself
    memory holds one row of tiles and one batch.
    """
    spec = engine.spec
    size = spec.size or (preprocess.size, preprocess.size)
    if size[0] % spec.multiple or size[1] % spec.multiple:
        raise ValueError(f"tiles are to be multiples of {spec.multiple}. Got: {size}")
    height, width = pixels.shape[:2]
    shortest = spec.size or (spec.multiple, spec.multiple)
    down = Cuts.of(height, size[0], preprocess.overlap, shortest[0])
    across = Cuts.of(width, size[1], preprocess.overlap, shortest[1])
    logits = np.zeros((spec.outputs, height, width), np.float32)
    rows = _Mean(logits.transpose(1, 0, 2))
    step = max(1, batch // len(forms))
    for top in down.starts:
        bottom = min(top + down.length, height)
        row = np.zeros((spec.outputs, bottom - top, width), np.float32)
        columns = _Mean(row.transpose(2, 0, 1))
        for some in _chunks(across.starts, step):
            tiles = [pixels[top:bottom, left : left + across.length] for left in some]
            frame = (down.length, across.length)
            arrays = [channels_of(padded(tile, frame), preprocess.ela) for tile in tiles]
            found = _averaged(np.stack(arrays), engine, forms, batch)  # (n, K, h, w)
            for left, tile, one in zip(some, tiles, found, strict=True):
                seen = one[:, : tile.shape[0], : tile.shape[1]]
                columns.add(left, across.weights(), seen.transpose(2, 0, 1))
        rows.add(top, down.weights(), row.transpose(1, 0, 2))
    return logits


class _Mean:
    """A running weighted mean of pieces along the first axis of an array, kept in that array."""

    def __init__(self, mean: NDArray[np.float32]) -> None:
        self._mean = mean
        self._total = np.zeros(len(mean), np.float32)

    def add(self, start: int, weights: NDArray[np.float32], piece: NDArray[np.float32]) -> None:
        """Take in a piece that begins at `start`; weights beyond its end belong to padding."""
        place = slice(start, start + len(piece))
        weights = weights[: len(piece)]
        self._total[place] += weights
        share = (weights / self._total[place])[:, None, None]
        self._mean[place] += share * (piece - self._mean[place])


def _averaged(
    arrays: NDArray[np.float32], engine: Engine, forms: tuple[Form, ...], batch: int
) -> NDArray[np.float32]:
    """Mean logits of pictures (n, C, h, w) over their forms: (n, K, h, w)."""
    if len(forms) == 1:
        return _inferred(arrays, engine, batch)
    turns = ([form for form in forms if form[2] == turned] for turned in (False, True))
    means = [_mean_of(arrays, engine, some, batch) for some in turns if some]
    if len(means) == 2:
        means[0] += means[1]
        means[0] /= 2
    return means[0]


def _mean_of(
    arrays: NDArray[np.float32], engine: Engine, forms: Sequence[Form], batch: int
) -> NDArray[np.float32]:
    """Mean logits over forms of one shape. A sum of 4 equal values, and its quarter, are exact."""
    shown = np.concatenate([_transformed(arrays, form) for form in forms])
    found = _inferred(shown, engine, batch)
    total = np.zeros((len(arrays), *found.shape[1:2], *arrays.shape[2:]), np.float32)
    for number, form in enumerate(forms):
        total += _undone(found[number * len(arrays) : (number + 1) * len(arrays)], form)
    total /= len(forms)
    return total


def _transformed(arrays: NDArray[np.float32], form: Form) -> NDArray[np.float32]:
    """One form of pictures (n, C, h, w)."""
    down, across, swapped = form
    turned = arrays[:, :, :: -1 if down else 1, :: -1 if across else 1]
    return turned.swapaxes(2, 3) if swapped else turned


def _undone(logits: NDArray[np.float32], form: Form) -> NDArray[np.float32]:
    """The logits of a form (n, K, h, w) as those of the picture."""
    down, across, swapped = form
    turned = logits.swapaxes(2, 3) if swapped else logits
    return turned[:, :, :: -1 if down else 1, :: -1 if across else 1]


def _inferred(arrays: NDArray[np.float32], engine: Engine, batch: int) -> NDArray[np.float32]:
    """Logits of pictures (n, C, h, w), at most `batch` of them at once."""
    if len(arrays) <= batch:
        return engine.infer(arrays)
    return np.concatenate([engine.infer(some) for some in _parts(arrays, batch)])


def _parts(arrays: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(arrays), size):
        yield arrays[start : start + size]


def _chunks(starts: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    for first in range(0, len(starts), size):
        yield starts[first : first + size]
