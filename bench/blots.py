"""How alike the bands of authentic blots are, and how many copied bands stand out from that.

    python -m bench.blots [--forgeries N] [--largest PX] [--fit] [--json FILE]

Takes authentic blots and gels, and forgeries in which a band, a row of bands or a lane was copied,
with their authentic twins; each from sources that may be fitted on and, apart, from held-out ones.
For every image the most similar pair of bands counts. Prints the similarity that 1, 3, 10 and 30 %
of the authentic images reach, the share of forgeries with a right pair above it, the share in which
a region grown from bands lies on the copy, how much of the best such pair of regions is right
(pixel F1), and seconds per megapixel. With --fit, only the weights of the similarity as fitted on
the first half. Takes about four minutes of one core.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.band_weights import fitted_weights
from bench.judge_collect import overlap_with
from bench.machine import arguments, table, write_results
from bench.sources import authentic_files, photographs
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.match.agreement import Window
from forgecli.match.band_growth import band_candidates
from forgecli.match.band_likeness import EVIDENCE, extent_of
from forgecli.match.band_pairs import BandPair
from forgecli.match.bands import bands_of
from forgecli.match.blots import compare_bands
from forgecli.match.candidates import Candidate
from forgecli.match.lanes import Band
from forgecli.match.panels import find_layout
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.library import is_blot
from forgecli.synth.recipe import Mix
from forgecli.synth.sources import LazySources, SourceFile

ONLY_BLOTS = Recipe(mix=Mix(object=0, region=0, blot=1, panel=0, overlap=0, removal=0))
SHARES = (0.01, 0.03, 0.1, 0.3)
SEED = 5105
COPY = 0.7
"""Share of a candidate's worse region inside a group, from which the judge learns it as a copy."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in one image.

    Attributes:
        piece: what was copied: ``band``, ``row``, ``lane``; empty for an authentic image.
        evidence: float64 (n, len(EVIDENCE)), a row per pair of bands.
        alike, similarity: float64 (n,).
        right: bool (n,), whether the pair is a copy and its map the true one.
        bands: how many there were.
        grown: share of the worse region inside the truth, of the best candidate grown from bands.
        outlined: pixel F1 of that candidate with its group; 0 if it is no copy.
        seconds, pixels: of the search for bands and pairs.
    """

    piece: str
    evidence: NDArray[np.float64]
    alike: NDArray[np.float64]
    similarity: NDArray[np.float64]
    right: NDArray[np.bool_]
    bands: int
    grown: float
    outlined: float
    seconds: float
    pixels: int


def truth_maps(card: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Every map from one region of a group to another, float64 (3, 3), of the card of a forgery."""
    maps = []
    for group in card.get("groups", ()):
        onto = [np.eye(3)]
        onto += [np.vstack((copy["map"], (0.0, 0.0, 1.0))) for copy in group["copies"]]
        for i, one in enumerate(onto):
            maps += [other @ np.linalg.inv(one) for j, other in enumerate(onto) if j != i]
    return maps


def is_right(
    pair: BandPair,
    bands: Sequence[Band],
    maps: list[NDArray[np.float64]],
    masks: NDArray[np.uint8],
) -> bool:
    """Whether both bands lie in one group of the truth, and a true map joins them."""
    first, second = bands[pair.first], bands[pair.second]
    places = [(round(band.y), round(band.x)) for band in (first, second)]
    if not any(all(mask[place] for place in places) for mask in masks):
        return False
    half_x, half_y = extent_of(first)
    corners = np.array(
        [
            (first.x + u * half_x, first.y + v * half_y, 1.0)
            for u, v in ((-0.7, 0), (0.7, 0), (0, -0.7), (0, 0.7))
        ]
    )
    found = corners @ pair.affine.T
    allowed = max(2.5, 0.25 * half_y)
    return any(float(np.hypot(*(corners @ true[:2].T - found).T).max()) < allowed for true in maps)


def blots_of(
    pixels: NDArray[np.uint8], grey: NDArray[np.float32], settings: MatchSettings
) -> tuple[tuple[Window, ...], NDArray[np.bool_]]:
    """The panels in which the detector looks for bands, and what may be evidence."""
    layout = find_layout(grey, settings, pixels)
    kinds = zip(layout.panels, layout.kinds, strict=True)
    return tuple(panel for panel, kind in kinds if kind == "blot"), layout.usable


def look(pixels: NDArray[np.uint8], masks: NDArray[np.uint8], card: dict[str, Any]) -> Looked:
    """Compare the bands of one image as the detector does, and keep all pairs."""
    settings = MatchSettings()
    views = bands_of(pixels)
    windows, usable = blots_of(pixels, views.grey, settings)
    started = time.process_time()
    found = compare_bands(views, windows, usable, settings)
    made = list(band_candidates(views, found.bands, found.pairs, windows, usable, settings))
    seconds = time.process_time() - started
    overlap = [overlap_with(one, masks) for one in made]
    best_made = int(np.argmax(overlap)) if made else -1
    maps = truth_maps(card)
    pieces = [group.get("piece", "") for group in card.get("groups", ())]
    return Looked(
        piece=pieces[0] if pieces else "",
        evidence=np.array([pair.evidence for pair in found.pairs]).reshape(-1, len(EVIDENCE)),
        alike=np.array([pair.alike for pair in found.pairs]),
        similarity=np.array([pair.similarity for pair in found.pairs]),
        right=np.array([is_right(pair, found.bands, maps, masks) for pair in found.pairs], bool),
        bands=len(found.bands),
        grown=max(overlap, default=0.0),
        outlined=_f1(made[best_made], masks) if made and overlap[best_made] > COPY else 0.0,
        seconds=seconds,
        pixels=pixels.shape[0] * pixels.shape[1],
    )


def _f1(candidate: Candidate, masks: NDArray[np.uint8]) -> float:
    """Pixel F1 of both regions with the group they fit best."""
    shape = (int(masks.shape[1]), int(masks.shape[2]))
    both = candidate.first.on(shape) | candidate.second.on(shape)
    return max(
        2.0
        * np.count_nonzero(both & (mask > 0))
        / (np.count_nonzero(both) + np.count_nonzero(mask))
        for mask in masks
    )


def authentic_blots(files: list[SourceFile], largest: int) -> list[Looked]:
    """The authentic blots and gels among some files, up to a number of pixels."""
    looked = []
    for file in files:
        if not is_blot(file.kind):
            continue
        try:
            pixels = read_picture(Case(file.name, file.path))[0].pixels
        except ForgeError:
            continue
        if pixels.shape[0] * pixels.shape[1] <= largest:
            looked.append(look(pixels, np.zeros((0, *pixels.shape[:2]), np.uint8), {}))
    return looked


def forged_blots(
    files: list[SourceFile], count: int, largest: int
) -> tuple[list[Looked], list[Looked]]:
    """Forgeries made from the blots and gels among some files, and their authentic twins."""
    chosen = [file for file in photographs(files) if is_blot(file.kind)]
    sources, kinds = LazySources(chosen), [file.kind for file in chosen]
    forged: list[Looked] = []
    twins: list[Looked] = []
    number = 0
    while len(forged) < count and number < 5 * count:
        number += 1
        try:
            made = generate(np.random.default_rng([SEED, number]), sources, ONLY_BLOTS, kinds)
        except ForgeError:
            continue
        if made.image.shape[0] * made.image.shape[1] > largest:
            continue
        forged.append(look(made.image, made.masks, made.card))
        twins.append(look(made.twin, made.masks[:0], {}))
    return forged, twins


def best(image: Looked) -> float:
    """The similarity of the most similar pair; minus infinity if there is none."""
    return float(image.similarity.max()) if image.similarity.size else -np.inf


def best_right(image: Looked) -> float:
    """The same of right pairs."""
    return float(image.similarity[image.right].max()) if image.right.any() else -np.inf


def level_of(images: list[Looked], share: float) -> float:
    """The similarity that at most a share of some images exceeds."""
    values = np.sort([best(image) for image in images])
    return float(values[max(0, int(np.ceil((1 - share) * len(values))) - 1)])


def recalls(
    forged: list[Looked], levels: dict[float, float], copies: int
) -> dict[str, dict[str, float]]:
    """Share of forgeries with a right pair above each level, by piece."""
    said = {}
    for piece in ("band", "row", "lane", "all"):
        part = [image for image in forged if piece in (image.piece, "all")]
        if not part:
            continue
        said[piece] = {
            "images": len(part),
            "aligned": float(np.mean([image.right.any() for image in part])),
            "grown": float(np.mean([image.grown > COPY for image in part])),
            "outlined": float(np.mean([i.outlined for i in part if i.grown > COPY] or [0.0])),
            f"in best {copies}": float(np.mean([image.right[:copies].any() for image in part])),
            **{
                f"{share:.0%}": float(np.mean([best_right(image) > level for image in part]))
                for share, level in levels.items()
            },
        }
    return said


def main() -> None:
    parser = arguments(__doc__, "blots")
    parser.add_argument("--forgeries", type=int, default=60, help="of each half")
    parser.add_argument("--largest", type=int, default=2_000_000, help="pixels")
    parser.add_argument("--fit", action="store_true", help="fit the weights and stop")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    halves = dict(zip(("fitted on", "held out"), authentic_files(), strict=True))
    if options.fit:
        halves.pop("held out")
    looked = {}
    for name, files in halves.items():
        forged, twins = forged_blots(files, options.forgeries, options.largest)
        looked[name] = (forged, twins, authentic_blots(files, options.largest))
    forged, twins, authentic = looked["fitted on"]
    if options.fit:
        images = [(image.evidence, image.right) for image in (*forged, *twins, *authentic)]
        one, among = fitted_weights(images)
        print("ALIKE", one.round(3).tolist(), "for", EVIDENCE)
        print("AMONG", among.round(3).tolist())
        return
    levels = {share: level_of([*twins, *authentic], share) for share in SHARES}
    copies = MatchSettings().max_band_copies
    document: dict[str, Any] = {
        "seed": SEED,
        "levels": {f"{share:.0%}": round(level, 3) for share, level in levels.items()},
    }
    rows = []
    for name, (forged, twins, authentic) in looked.items():
        every = [*forged, *twins, *authentic]
        document[name] = {
            "authentic": len(authentic),
            "twins": len(twins),
            "above": {
                f"{share:.0%}": {
                    "authentic": float(np.mean([best(image) > level for image in authentic])),
                    "twins": float(np.mean([best(image) > level for image in twins])),
                }
                for share, level in levels.items()
            },
            "recall": recalls(forged, levels, copies),
            "seconds_per_megapixel": sum(image.seconds for image in every)
            / sum(image.pixels for image in every)
            * 1e6,
            "bands_per_image": float(np.median([image.bands for image in every])),
        }
        for piece, said in document[name]["recall"].items():
            rows.append(
                (name, piece, *(f"{value:.2f}" if k else str(value)
                                for k, value in enumerate(said.values())))
            )  # fmt: skip
    header = ("sources", "copied", *next(iter(document["fitted on"]["recall"].values())))
    print(table(header, rows))
    print(document["levels"], {name: document[name]["above"] for name in halves})
    print({name: round(document[name]["seconds_per_megapixel"], 3) for name in halves}, "s/Mpx")
    write_results(options.json, document)


if __name__ == "__main__":
    main()
