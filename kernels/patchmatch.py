"""For every disc of an image the one elsewhere that looks most like it, turned or mirrored.

PatchMatch (Barnes et al., "PatchMatch", SIGGRAPH 2009; for copies in one image: Cozzolino, Poggi,
Verdoliva, "Efficient dense-field copy-move forgery detection", TIFS 2015) with three changes:

- It starts from near neighbours in feature space and not at random. A copy of 32 x 32 pixels holds
  some hundred discs; that one of them meets its twin among a million at random takes many sweeps.
  The discs are sorted along Morton curves through random projections of their invariants, and each
  is compared with those beside it (Connor and Kumar, "Fast construction of k-nearest neighbor
  graphs for point clouds", TVCG 2010; after the idea of Korman and Avidan, "Coherency sensitive
  hashing", ICCV 2011, and of He and Sun, "Computing nearest-neighbor fields via
  propagation-assisted KD-trees", CVPR 2012).
- The best turn between two discs, and whether one is mirrored, follow from the phases of their
  moments. So a field knows the rotation at every point, what it hands to its neighbours is turned
  with it (first-order propagation), and one field finds mirrored copies too.
- A sweep reads the field before it and writes the one after it, with jumps of 4, 2 and 1 points
  (Rong and Tan, "Jump flooding in GPU", I3D 2006): the result does not depend on the order or the
  number of threads.

Moments follow a turn, but not a change of scale by more than some 15 %. `find_scaled_field`
compares the discs of a reduced image with those of the image as it is: two grids, one of which asks
and one of which answers, where `find_field` has one for both.

Scores are sums of integers, so that they are the same everywhere to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.field import SCALE, Field, no_matches
from kernels.morton import curve_orders
from kernels.propagation import meet, settle, sweep
from kernels.zernike import LANES, Moments, invariants


def find_field(
    moments: Moments,
    usable: NDArray[np.bool_],
    *,
    apart: int,
    tables: int = 4,
    reach: int = 10,
    rounds: int = 1,
    worth: float = 0.8,
    seed: int = 0,
) -> Field:
    """The field of the discs that look most alike.

    Args:
        moments: of the image, on a grid of (h, w).
        usable: bool (h, w), the grid points that take part.
        apart: grid points that two discs lie apart at least.
        tables: how many orders the discs are sorted in; each finds some of the nearest.
        reach: how many discs before and after each in an order it is compared with.
        rounds: sweeps with jumps of 4, 2 and 1 points.
        worth: similarity (1 is equal) from which a point hands on what it has found.
        seed: of the projections.

    Raises:
        ValueError: `usable` has another shape, or `apart` is under 1.
    """
    _check(moments, usable, apart)
    usable = np.ascontiguousarray(usable)
    field = no_matches(moments.energy.shape)
    points = np.flatnonzero(usable)
    if points.size < 2:
        return field
    width = usable.shape[1]
    places = np.stack((points % width, points // width, points), axis=1).astype(np.int32)
    _seed(moments, places, 0, field, apart, tables, reach, seed)
    codes = moments.codes.reshape(-1, 2 * LANES)
    return _improved(codes, usable, usable, 1.0, 0.0, field, apart, rounds, worth)


def find_scaled_field(
    small: Moments,
    small_usable: NDArray[np.bool_],
    large: Moments,
    large_usable: NDArray[np.bool_],
    *,
    ratio: float,
    apart: int,
    tables: int = 4,
    reach: int = 10,
    rounds: int = 1,
    worth: float = 0.8,
    seed: int = 0,
) -> Field:
    """For the discs of a reduced image those of the image itself that look most like them.

    What stands at `ratio` times its size at one of the two places has equal discs in both.

    Args:
        small: of the image reduced by `ratio`, on a grid of (h, w).
        small_usable: bool (h, w), its grid points that ask.
        large: of the image, on a grid of (H, W) with discs of the same radius and stride.
        large_usable: bool (H, W), its grid points that answer.
        ratio: size of the image to that of the reduced one, over 1.
        apart: grid points of the large grid between a disc and where the other one comes from,
            at least.
        tables, reach, rounds, worth, seed: as in `find_field`.

    Returns:
        a field (h, W), whose columns from w on are empty: so its targets, row * W + column on the
        large grid, are read as those of any other field (`kernels.coherence`).

    Raises:
        ValueError: shapes that do not fit, `apart` under 1, or `ratio` not over 1.
    """
    _check(small, small_usable, apart)
    _check(large, large_usable, apart)
    rows, columns = small.energy.shape
    width = large.energy.shape[1]
    if not ratio > 1.0 or columns > width or rows > large.energy.shape[0]:
        raise ValueError(
            "the reduced image is the smaller one. Got: grids"
            f" {small.energy.shape} and {large.energy.shape}, ratio {ratio}"
        )
    if (small.radius, small.stride) != (large.radius, large.stride):
        raise ValueError(
            "both grids have the same discs. Got: radius and stride"
            f" {(small.radius, small.stride)} and {(large.radius, large.stride)}"
        )
    beside = ((0, 0), (0, width - columns))
    asks = np.pad(small_usable, beside)
    answers = np.ascontiguousarray(large_usable)
    field = no_matches(asks.shape)
    if not asks.any() or not answers.any():
        return field
    both = Moments(
        np.concatenate((np.pad(small.codes, (*beside, (0, 0))), large.codes)),
        np.concatenate((np.pad(small.energy, beside), large.energy)),
        large.radius,
        large.stride,
    )
    # A pixel's corner lies at the ratio's multiple, its middle half a pixel further.
    lead = (large.radius + 0.5) * (ratio - 1.0) / large.stride
    askers, others = np.flatnonzero(asks), np.flatnonzero(answers)
    home = np.stack((askers % width, askers // width), axis=1) * ratio + lead
    places = np.concatenate(
        (
            np.column_stack((np.rint(home), askers)),
            np.column_stack((others % width, others // width, others + asks.size)),
        )
    ).astype(np.int32)
    _seed(both, places, asks.size, field, apart, tables, reach, seed)
    codes = both.codes.reshape(-1, 2 * LANES)
    return _improved(codes, asks, answers, ratio, lead, field, apart, rounds, worth)


def _check(moments: Moments, usable: NDArray[np.bool_], apart: int) -> None:
    shape = moments.energy.shape
    if usable.shape != shape or usable.dtype != np.bool_:
        raise ValueError(f"usable is bool {shape}. Got: {usable.dtype} {usable.shape}")
    if apart < 1:
        raise ValueError(f"a disc is apart from itself by 1 at least. Got: {apart}")


def _seed(
    moments: Moments,
    places: NDArray[np.int32],
    shift: int,
    field: Field,
    apart: int,
    tables: int,
    reach: int,
    seed: int,
) -> None:
    """Let each disc meet those beside it in several orders. Places and shift as in `meet`."""
    codes = moments.codes.reshape(-1, 2 * LANES)
    features = invariants(moments, places[:, 2].astype(np.int64))
    whole = (field.target.ravel(), field.turn.ravel(), field.mirrored.ravel(), field.score.ravel())
    for order in curve_orders(features, tables, np.random.default_rng(seed)):
        meet(codes, features[order], places[order], shift, reach, apart, *whole)


def _improved(
    codes: NDArray[np.int8],
    asks: NDArray[np.bool_],
    answers: NDArray[np.bool_],
    ratio: float,
    lead: float,
    field: Field,
    apart: int,
    rounds: int,
    worth: float,
) -> Field:
    """The field after points have handed on what they have found. Grids as in `sweep`."""
    least = int(worth * SCALE)
    spare = field.like()
    for _ in range(rounds):
        for jump in (4, 2, 1):
            sweep(
                codes, asks, answers, ratio, lead, jump, apart, least,
                *field.parts(), *spare.parts(),
            )  # fmt: skip
            field, spare = spare, field
        settle(codes, answers, ratio, lead, apart, least, *field.parts())
    return field
