"""Source images that show the same scene, and how they are found: `python -m bench.repeats`.

A forged figure, and its authentic twin, may be composed of several source images. Where two of them
are one gel saved twice, the twin holds a copy that its truth denies: the judge learns that a
perfect copy is none, and the threshold of one false positive in a hundred rests on such twins. So
forgeries are made of the first image of every group only (`distinct`).

Two images are one scene if keypoints agree with one similarity map between them and the pixels
agree under it: their correlation, reduced to 512 px and between 0.8 and 4 px, is 0.65 at least.
Marker ladders agree too, at some scale and in one lane: matches must span a third of the image.
Frames of a series that correlate less are left in: they are look-alikes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import read_picture
from forgecli.detection import Affine, Case
from forgecli.errors import ForgeError
from forgecli.synth.sources import SourceFile

_GELS = (
    ("002.png", "017.png"),
    ("005.png", "038.png"),
    ("006.jpg", "030.jpg"),
    ("008.jpg", "011.jpg"),
    ("009.png", "036.png"),
    ("013.jpg", "021.jpg"),
    ("014.png", "034.png"),
    ("019.jpg", "027.jpg"),
    ("023.png", "037.png"),
    ("028.png", "033.png"),
)
"""One gel saved twice, at another size (0.67 to 1) or with other levels: correlation 0.70 to 0.998.
Cut from the same scan: under the map, what is left of 028 and 033 is 1.2 grey levels of 15."""

_WELLS = (("002", "031"), ("006", "041"), ("010", "043"), ("012", "029"), ("022", "038"),
          ("034", "057"))  # fmt: skip
"""One field in two channels that show the same nuclei: 0.77 to 0.85."""

REPEATS: tuple[tuple[str, ...], ...] = (
    *(tuple(f"gel/gels_kalthommusa_{name}" for name in group) for group in _GELS),
    *(tuple(f"microscopy-fluorescence/cellprofiler_sbs_{name}.tif" for name in group)
      for group in _WELLS),
    # Neighbouring fields that overlap, with no change but the shift: 0.71 to 1.
    ("blood-smear/bccd_003.jpg", "blood-smear/bccd_004.jpg"),
    ("blood-smear/bccd_016.jpg", "blood-smear/bccd_039.jpg"),
    ("histology/brecahad_mini_000.jpg", "histology/brecahad_mini_010.jpg"),
    ("histology/brecahad_mini_003.jpg", "histology/brecahad_mini_006.jpg"),
    ("electron-microscopy/tem_nanoparticles_009.jpg",
     "electron-microscopy/tem_nanoparticles_007.jpg",
     "electron-microscopy/tem_nanoparticles_010.jpg",
     "electron-microscopy/tem_nanoparticles_011.jpg"),
    # One field in two colours, neighbours in a stack, moments of a film: 0.65 to 0.95. What the
    # slices of biapol show is small in the dark, and spans a quarter.
    ("histology/bonemarrow_mini_004.jpg", "histology/bonemarrow_mini_007.jpg"),
    ("microscopy-mixed/biapol_009.tif", "microscopy-mixed/biapol_015.tif",
     "microscopy-mixed/biapol_018.tif", "microscopy-mixed/biapol_019.tif",
     "microscopy-mixed/biapol_020.tif", "microscopy-mixed/biapol_022.tif",
     "microscopy-mixed/biapol_024.tif"),
    ("microscopy-mixed/cellprofiler_examples_000.tif",
     "microscopy-mixed/cellprofiler_examples_011.tif",
     "microscopy-mixed/cellprofiler_examples_016.tif",
     "microscopy-mixed/cellprofiler_examples_022.tif"),
    ("microscopy-mixed/cellprofiler_examples_007.tif",
     "microscopy-mixed/cellprofiler_examples_029.tif"),
    ("microscopy-mixed/cellprofiler_examples_020.tif",
     "microscopy-mixed/cellprofiler_examples_023.tif"),
    ("microscopy-mixed/cellprofiler_examples_004.tif",
     "microscopy-mixed/cellprofiler_examples_024.tif"),
    ("microscopy-mixed/cellprofiler_examples_006.tif",
     "microscopy-mixed/cellprofiler_examples_019.tif"),
    ("microscopy-mixed/neubias_005.tif", "microscopy-mixed/neubias_025.tif"),
    ("microscopy-mixed/neubias_012.tif", "microscopy-mixed/neubias_039.tif",
     "microscopy-mixed/neubias_043.tif"),
    ("microscopy-mixed/neubias_022.tif", "microscopy-mixed/neubias_034.tif"),
    ("microscopy-mixed/neubias_006.tif", "microscopy-mixed/neubias_027.tif"),
    ("microscopy-mixed/neubias_017.tif", "microscopy-mixed/neubias_032.tif"),
    # Two views of one motorcycle, for stereo: by eye.
    ("mixed/skimage_data_002.png", "mixed/skimage_data_015.png"),
    # One image in two formats: 1.
    ("mixed/skimage_data_009.tif", "mixed/skimage_data_011.png"),
)  # fmt: skip
"""Groups of files that show one scene; the first stands for all."""

_SIDE = 512
_KEYPOINTS = 300
_ALIKE = 0.86
"""Correlation of two RootSIFT descriptors from which they may be one place."""
_LEAST, _CORRELATION, _SPAN, _SCALE = 15, 0.65, 0.33, 4.0


def scene_of(name: str) -> str:
    """The file that stands for the scene of a file: the first of its group, or itself."""
    return next((group[0] for group in REPEATS if name in group), name)


def distinct(files: Sequence[SourceFile]) -> list[SourceFile]:
    """The files without those that show a scene which an earlier one of its group shows too."""
    group_of = {name: number for number, group in enumerate(REPEATS) for name in group}
    rank = {name: place for group in REPEATS for place, name in enumerate(group)}
    first: dict[int, str] = {}
    for file in sorted(files, key=lambda file: rank.get(file.name, 0)):
        if file.name in group_of:
            first.setdefault(group_of[file.name], file.name)
    return [
        file
        for file in files
        if file.name not in group_of or first[group_of[file.name]] == file.name
    ]


@dataclass(frozen=True, slots=True)
class Shared:
    """Two images with keypoints that agree.

    Attributes:
        first, second: their names.
        places: matches that agree with the map, those within 4 px counted once.
        scale: of the map from the first to the second.
        correlation: of the pixels under it, over the box of those matches.
        span: larger side of that box, as a share of the larger side of the first image.
    """

    first: str
    second: str
    places: int
    scale: float
    correlation: float
    span: float

    @property
    def one_scene(self) -> bool:
        """Whether the two show one scene, by the rule of the module."""
        enough = self.places >= _LEAST and self.span >= _SPAN
        return enough and self.correlation >= _CORRELATION


def shared_scenes(pictures: Sequence[tuple[str, NDArray[np.uint8]]]) -> Iterator[Shared]:
    """Pairs of pictures with at least `_LEAST` keypoints that agree.

    Args:
        pictures: name and grey values, uint8 (H, W); all are compared with all.
    """
    reduced = [_reduced(grey) for _, grey in pictures]
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=0.02)
    descriptors, points, owners = [], [], []
    for number, grey in enumerate(reduced):
        keypoints, found = sift.detectAndCompute(grey, None)
        if found is None:
            continue
        found, keypoints = found[:_KEYPOINTS], keypoints[:_KEYPOINTS]
        descriptors.append(np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6)))
        points.append(np.array([keypoint.pt for keypoint in keypoints]))
        owners.append(np.full(len(found), number))
    if not descriptors:
        return
    place, owner = np.concatenate(points), np.concatenate(owners)
    matches = _matches(np.concatenate(descriptors).astype(np.float32), owner)
    for (first, second), pairs in sorted(matches.items()):
        if len(pairs) < _LEAST:
            continue
        here, there = (place[list(column)] for column in zip(*sorted(pairs), strict=True))
        cv2.setRNGSeed(0)
        fitted, inliers = cv2.estimateAffinePartial2D(
            here, there, ransacReprojThreshold=2.5, maxIters=3000
        )
        if fitted is None:
            continue
        affine: Affine = np.asarray(fitted, np.float64)
        agreeing = here[inliers[:, 0] > 0]
        places = len(np.unique(np.round(agreeing / 4.0), axis=0))
        scale = float(np.hypot(affine[0, 0], affine[1, 0]))
        if places < _LEAST or not 1 / _SCALE < scale < _SCALE:
            continue
        low = np.floor(np.asarray(agreeing, np.float64).min(0)).astype(np.int_)
        high = np.ceil(np.asarray(agreeing, np.float64).max(0)).astype(np.int_) + 1
        yield Shared(
            first=pictures[first][0],
            second=pictures[second][0],
            places=places,
            scale=scale,
            correlation=_correlation(reduced[first], reduced[second], affine, low, high),
            span=float((high - low).max()) / max(reduced[first].shape),
        )


def _reduced(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shrink = min(1.0, _SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    low, high = float(small.min()), float(small.max())
    stretched = (small.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.asarray(np.rint(stretched), np.uint8)


def _matches(
    descriptors: NDArray[np.float32], owner: NDArray[np.int64]
) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """For every two pictures, the keypoints that are among the four nearest of each other's kind.

    A scene may stand in several pictures, so the nearest alone would not do.
    """
    found: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for start in range(0, len(descriptors), 1500):
        part = slice(start, start + 1500)
        alike = descriptors[part] @ descriptors.T
        alike[owner[part][:, None] == owner[None]] = -1.0
        keep = min(4, alike.shape[1])
        nearest = np.argpartition(-alike, keep - 1, axis=1)[:, :keep]
        for row, column in zip(*np.nonzero(np.take_along_axis(alike, nearest, 1) > _ALIKE),
                               strict=True):  # fmt: skip
            one, other = start + int(row), int(nearest[row, column])
            if owner[one] > owner[other]:
                one, other = other, one
            found[int(owner[one]), int(owner[other])].add((one, other))
    return found


def _correlation(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    affine: Affine,
    low: NDArray[np.int_],
    high: NDArray[np.int_],
) -> float:
    """Of two pictures between 0.8 and 4 px, over a box of the first."""
    size = (first.shape[1], first.shape[0])
    there = cv2.warpAffine(
        second.astype(np.float32), affine, size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=-1.0,
    )  # fmt: skip
    box = np.s_[max(0, low[1]) : high[1], max(0, low[0]) : high[0]]
    known = there[box] >= 0
    if np.count_nonzero(known) < 50:
        return 0.0
    p, q = (
        np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8) - cv2.GaussianBlur(image, (0, 0), 4.0),
                   np.float64)[box][known]
        for image in (first.astype(np.float32), there)
    )  # fmt: skip
    p, q = p - p.mean(), q - q.mean()
    power = float((p @ p) * (q @ q))
    return float(p @ q) / float(np.sqrt(power)) if power > 0 else 0.0


def main() -> None:
    from bench.machine import table
    from bench.sources import NO_PHOTOGRAPHS, authentic_files

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", action="append", help="only this one; may be repeated")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    by_source: dict[str, list[SourceFile]] = defaultdict(list)
    for files in authentic_files():
        for file in files:
            if file.kind not in NO_PHOTOGRAPHS:
                by_source[file.source].append(file)
    listed = {frozenset((a, b)) for group in REPEATS for a in group for b in group}
    rows = []
    for source in asked.source or sorted(by_source):
        pictures = []
        for file in by_source[source]:
            try:
                pixels = read_picture(Case(file.name, file.path))[0].pixels
            except ForgeError:
                continue
            grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
            pictures.append((file.name, grey))
        for one in shared_scenes(pictures):
            pair = frozenset((one.first, one.second))
            rows.append((one.first, one.second, str(one.places), f"{one.scale:.3f}",
                         f"{one.correlation:.3f}", f"{one.span:.2f}",
                         "yes" if one.one_scene else "",
                         "yes" if pair in listed else ""))  # fmt: skip
    header = ("first", "second", "places", "scale", "correlation", "span", "one scene", "listed")
    print(table(header, rows))


if __name__ == "__main__":
    main()
