"""Copies shown as their own negative: bright where the source is dark.

Every comparison of the search takes a region and its copy to be bright and dark at the same places.
So the picture is laid beside its negative, and what goes from the one to the other is sought by the
same stages, on the CPU or a GPU. Only where matches come from is particular to it:

- Keypoints. A negative has the same ones, since differences of Gaussians only change their sign.
  Its gradients point the other way everywhere, so each is turned by half a turn and so are the
  cells of its descriptor: an exchange of entries (`NEGATIVE`), and nothing is described twice.
- The dense field. Two discs are compared with the phases of their moments, which know their sign,
  and a disc's nearest in the negative would be its own place. So the field is made of the picture
  with blocks of it turned into their negatives by chance, and the matches between blocks of unlike
  sign are the ones sought: of a copy about half, which is enough to grow from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Placed, Window, cover, warp_mask
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.candidates import Candidate, candidates
from forgecli.match.compute import CPU, Compute
from forgecli.match.dense import dense_matches
from forgecli.match.evidence import on_evidence
from forgecli.match.features import flat_pixels, measure_all
from forgecli.match.grow import far_enough
from forgecli.match.keypoints import Keypoints
from forgecli.match.proposals import Matches, propose, refine_proposals
from forgecli.match.seam import Seam
from forgecli.match.settings import MatchSettings

T = TypeVar("T", bound=np.generic)

_GAP = 32
"""Pixels between the picture and its negative: more than a patch and a window of correlation."""
_GROUND = 128.0
"""Grey level of the gap, which is its own negative, nearly."""
_ACROSS = np.array([0.36, 0.93])
"""Of a match that is found from both ends, the end less far along this direction is the first.
Panels and lanes stand beside or below each other, so few groups lie across it."""


@dataclass(frozen=True, slots=True)
class InvertedCandidate(Candidate):
    """A region and a copy of it that is its negative."""

    inverted: ClassVar[bool] = True


def search_inverted(
    bands: Bands,
    usable: Mask,
    keypoints: Keypoints,
    settings: MatchSettings,
    compute: Compute = CPU,
    *,
    inside: Mask | None = None,
) -> tuple[list[Candidate], NDArray[np.float64]]:
    """Look for regions of a picture whose negative stands in it too.

    Args:
        bands: the picture.
        usable: bool (H, W), what may be evidence.
        keypoints: of the picture.
        settings: of every stage.
        compute: where the heavy steps are done. It must hold no images: it is given others here.
        inside: bool (H, W), pixels of panels; matches on the edges of panels are left out. None:
            all.

    Returns:
        the candidates, in pixels of the picture, and their statistics, float64 (n, len(FEATURES)),
        as `forgecli.match.features.measure_all` has them.

    Raises:
        MemoryError: there, or here, memory ran out. Both pictures are held at a time.
    """
    found = propose(keypoints, settings, compute, negative=True)
    matches = np.concatenate((found, _dense(bands, usable, settings, compute, inside=inside)))
    matches = matches[on_evidence(matches, usable, settings, inside)]
    matches, from_both = _one_way(matches[_far(matches, settings)])
    beside = Beside.of(bands, usable)
    few = replace(settings, max_candidates=settings.max_inverted)
    with compute.holding(beside.bands.low, beside.bands.smooth, beside.bands.middle):
        across, _ = refine_proposals(beside.bands, beside.there(matches), settings, compute)
        back = beside.back(across)  # refined, some lie nearer to each other, or on an edge
        across = across[_far(back, settings) & on_evidence(back, usable, settings, inside)]
        first_ends = matches[from_both, :2]
        kept = _distinct(
            [
                replace(one, support=_from_both_ends(grew, across, first_ends, settings))
                for grew in candidates(beside.bands, across, beside.usable, few, compute)
                if (one := beside.folded(grew, settings))
            ],
            settings,
        )
        unfolded = [beside.unfolded(one) for one in kept]
        features = measure_all(
            beside.bands, unfolded, flat_pixels(bands), compute, seam=beside.seam
        )
    return list(kept), features


@dataclass(frozen=True, slots=True)
class Beside:
    """A picture, and its negative to the right of it.

    Attributes:
        bands: of both, (H, W + _GAP + W).
        usable: bool, the same shape; the gap is not.
        shift: pixels from a place in the picture to the same place in the negative.
    """

    bands: Bands
    usable: Mask
    shift: int

    @classmethod
    def of(cls, bands: Bands, usable: Mask) -> Beside:
        """Lay a picture beside its negative. The bands of the negative follow from the picture's
        exactly, and the gap leaves no trace in either."""
        both = Bands(
            grey=_laid_beside(bands.grey, 255.0 - bands.grey, _GROUND),
            smooth=_laid_beside(bands.smooth, 255.0 - bands.smooth, _GROUND),
            low=_laid_beside(bands.low, -bands.low, 0.0),
            middle=_laid_beside(bands.middle, -bands.middle, 0.0),
            noise=bands.noise,
        )
        return cls(both, _laid_beside(usable, usable, False), bands.shape[1] + _GAP)

    @property
    def seam(self) -> Seam:
        """The gap."""
        return Seam(self.shift - _GAP, self.shift)

    def there(self, matches: Matches) -> Matches:
        """Matches of the picture's places as matches from the picture to the negative."""
        moved = matches.copy()
        moved[:, 2] += self.shift
        return moved

    def back(self, matches: Matches) -> Matches:
        """The way back."""
        moved = matches.copy()
        moved[:, 2] -= self.shift
        return moved

    def folded(self, candidate: Candidate, settings: MatchSettings) -> InvertedCandidate | None:
        """A candidate that leads into the negative, in the picture itself.

        None where little of it lies far enough from its copy, or where the two cover each other: a
        straight edge is its own negative, turned by half a turn.
        """
        height, width = self.bands.shape[0], self.shift - _GAP
        affine = candidate.affine.copy()
        affine[0, 2] -= self.shift
        place = candidate.first.window
        window = Window(place.left, place.top, min(place.right, width), min(place.bottom, height))
        if window.width < 1 or window.height < 1:
            return None
        mask = candidate.first.into(window) & far_enough(affine, window, settings)
        first = Placed(window, mask)
        if first.area < max(settings.min_area, candidate.first.area // 2):
            return None
        second = warp_mask(first, affine, (height, width))
        shared = np.count_nonzero(mask & second.into(window))
        least = min(first.area, second.area)
        if second.area < settings.min_area // 2 or shared > settings.same_region * least:
            return None
        return InvertedCandidate(
            first, second, affine, candidate.support, candidate.rivals, candidate.rank_score
        )

    def unfolded(self, candidate: Candidate) -> Candidate:
        """The same candidate as it leads into the negative."""
        affine = candidate.affine.copy()
        affine[0, 2] += self.shift
        window = candidate.second.window
        moved = replace(window, left=window.left + self.shift, right=window.right + self.shift)
        return replace(candidate, affine=affine, second=replace(candidate.second, window=moved))


def _laid_beside(picture: NDArray[T], negative: NDArray[T], gap: float | bool) -> NDArray[T]:
    between = np.full((picture.shape[0], _GAP), gap, picture.dtype)
    # What is read up to half a pixel beyond a picture is its last column.
    if picture.dtype != np.bool_:
        between[:, 0], between[:, -1] = picture[:, -1], negative[:, 0]
    return np.ascontiguousarray(np.concatenate((picture, between, negative), axis=1))


def _far(matches: Matches, settings: MatchSettings) -> NDArray[np.bool_]:
    """Matches whose two places lie apart in the picture."""
    moved = np.hypot(matches[:, 2] - matches[:, 0], matches[:, 3] - matches[:, 1])
    return np.asarray(moved >= settings.min_distance)


def _one_way(matches: Matches) -> tuple[Matches, NDArray[np.bool_]]:
    """The matches, each pair of places once: the negative of a negative is the picture.

    Returns:
        float64 (n, 8), and bool (n,): which were found from both their ends. Of keypoints many are;
        the dense field gives each pair of places once.
    """
    turned = (matches[:, 2:4] - matches[:, :2]) @ _ACROSS < 0
    out = matches.copy()
    out[turned, :4] = matches[turned][:, [2, 3, 0, 1]]
    out[turned, 4:] = np.linalg.inv(matches[turned, 4:].reshape(-1, 2, 2)).reshape(-1, 4)
    over = out[:, 4] * out[:, 7] < out[:, 5] * out[:, 6]  # mirrored
    _, first, pair = np.unique(
        np.column_stack((out[:, :4], over)), axis=0, return_index=True, return_inverse=True
    )
    ways = [np.bincount(pair.ravel()[way], minlength=first.size) > 0 for way in (turned, ~turned)]
    order = np.argsort(first)
    return np.ascontiguousarray(out[first[order]]), np.asarray((ways[0] & ways[1])[order])


def _from_both_ends(
    candidate: Candidate, across: Matches, first_ends: NDArray[np.float64], settings: MatchSettings
) -> int:
    """The support of a candidate, where what was found from both its ends counts from both.

    Args:
        candidate: as it leads into the negative, with the support of each match counted once.
        across: float64 (n, 8), the refined matches. Refining leaves their first ends.
        first_ends: float64 (m, 2), of those that were found from both their ends.
        settings: `candidate_separation`, within which a match agrees.
    """
    of_region = across[candidate.first.holds(across[:, :2])]
    error = of_region[:, :2] @ candidate.affine[:, :2].T + candidate.affine[:, 2]
    error -= of_region[:, 2:4]
    agreeing = of_region[np.hypot(error[:, 0], error[:, 1]) < settings.candidate_separation]
    if len(agreeing) == 0:
        return candidate.support
    both = np.isin(agreeing[:, :2] @ (1, 1j), first_ends @ (1, 1j))
    return round(candidate.support * (1.0 + float(both.mean())))


def _dense(
    bands: Bands,
    usable: Mask,
    settings: MatchSettings,
    compute: Compute,
    *,
    inside: Mask | None = None,
) -> Matches:
    """Matches of the dense field between a place and the negative of another; see the module."""
    found = [np.empty((0, 8))]
    for turn in range(settings.inverted_fields):
        negative = checkered(bands.shape, settings.inverted_block, turn)
        mixed: FloatImage = np.where(negative, np.float32(255) - bands.smooth, bands.smooth)
        matches = dense_matches(
            replace(bands, smooth=mixed), usable, settings, compute, inside=inside
        )
        limit = np.array(bands.shape[::-1]) - 1
        at = np.clip(np.rint(matches[:, :4].reshape(-1, 2, 2)), 0, limit).astype(np.int64)
        signs = negative[at[:, :, 1], at[:, :, 0]]
        found.append(matches[signs[:, 0] != signs[:, 1]])
    return np.concatenate(found)


def checkered(shape: tuple[int, int], side: int, seed: int) -> Mask:
    """Square blocks of a picture, each chosen or not by chance, bool (H, W)."""
    rows, columns = -(-shape[0] // side), -(-shape[1] // side)
    chosen = np.random.default_rng(seed).random((rows, columns)) < 0.5
    whole = np.repeat(np.repeat(chosen, side, axis=0), side, axis=1)
    return np.ascontiguousarray(whole[: shape[0], : shape[1]])


def _distinct(
    found: Sequence[InvertedCandidate], settings: MatchSettings
) -> list[InvertedCandidate]:
    """The candidates without those that an earlier one explains from the other end."""
    kept: list[InvertedCandidate] = []
    for new in found:
        if not any(_same(old, new, settings) for old in kept):
            kept.append(new)
    return kept


def _same(old: Candidate, new: Candidate, settings: MatchSettings) -> bool:
    """Whether a candidate is another one, seen from its copy."""
    if not (cover(old.second, new.first, settings) and cover(old.first, new.second, settings)):
        return False
    rows, columns = np.nonzero(new.first.mask)
    x, y = columns.mean() + new.first.window.left, rows.mean() + new.first.window.top
    there = new.affine @ (x, y, 1.0)
    again = np.asarray(cv2.invertAffineTransform(old.affine)) @ (x, y, 1.0)
    return bool(np.hypot(*(there - again)) < 2.0 * settings.candidate_separation)
