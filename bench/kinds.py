"""Fit the kinds of panels: see `python -m bench.panels --fit`.

The trees saw every source that may be fitted on. So did the judge of the match detector, which is
fitted on candidates out of layouts that these trees made: on its own training images it sees better
kinds than it will on new ones. Folds of the judge by source do not mend that, since the kinds are
not fitted again for each; sources that are held out (`bench.sources`) are free of it. The
out-of-fold figure in kinds.json has variants of one source on both sides, and is too good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.layouts import figures, flow_cytometry
from bench.machine import machine
from bench.sources import DRAWN, photographs
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.match.agreement import Window
from forgecli.match.annotations import marks_of, range_of
from forgecli.match.kinds import KINDS, STATISTICS, Views, chroma_of, statistics_of
from forgecli.match.settings import MatchSettings
from forgecli.synth.annotate import write
from forgecli.synth.library import is_blot
from forgecli.synth.sources import SourceFile

LARGEST = 6_000_000
"""Pixels: larger images are left out, for time."""

FIGURES_WITH_PHOTOGRAPHS = frozenset(
    {
        "figure/opendiagram_pmc_003.png",  # nothing but one gradient
        "figure/opendiagram_pmc_007.png",  # a micrograph between a sketch and a graph
        "figure/opendiagram_pmc_021.png",  # the same, small
        "figure/opendiagram_pmc_027.png",  # maps of elements by electron microscopy
        "figure/opendiagram_pmc_039.png",  # electron micrograph
        "figure/opendiagram_pmc_087.png",  # the same
        "figure/opendiagram_pmc_099.png",  # a portrait
        "figure/opendiagram_pmc_123.png",  # seven strips of a gel
    }
)
"""Fitted figures that are not drawings, or not alone, by eye: they have no one kind, and do not
count where it is measured how many are right. In the fit they are held to be drawings, as their
pages are: trees fitted without them are right as often out of fold, but take drawings with a
photograph on them for photographs as a whole, among them the page that a test of panels draws."""

_FIGURES, _PLOTS, _MOST, _SEED = 105, 60, 40, 17
_RATE = 0.2


def kind_of_source(file: SourceFile) -> str:
    """The kind that an image of a source is held to be; by eye where it was looked at."""
    if file.kind in {"figure", "graph"} or file.name in DRAWN:
        return "drawing"
    return "blot" if is_blot(file.kind) else "photograph"


def read_all(
    files: Sequence[SourceFile], most: int, unfit: frozenset[str] = FIGURES_WITH_PHOTOGRAPHS
) -> Iterator[tuple[SourceFile, Any]]:
    """At most so many images of every source, with their pixels; without those named unfit."""
    taken: Counter[tuple[str, str]] = Counter()
    for file in files:
        if taken[file.kind, file.source] >= most or file.name in unfit:
            continue
        try:
            pixels = read_picture(Case(file.name, file.path))[0].pixels
        except ForgeError:
            continue
        if pixels.shape[0] * pixels.shape[1] <= LARGEST:
            taken[file.kind, file.source] += 1
            yield file, pixels


def views_of(pixels: NDArray[np.uint8], settings: MatchSettings) -> Views:
    """What the statistics of an image, uint8 (H, W, 3) RGB, are taken from."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    step = range_of(grey, 3)
    return Views(grey, step, chroma_of(pixels), marks_of(grey, step, settings))


def samples(
    files: Sequence[SourceFile],
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Statistics of images and of panels, their kinds, and what they come from."""
    settings, rng = MatchSettings(), np.random.default_rng(_SEED)
    rows: list[NDArray[np.float64]] = []
    kinds: list[int] = []
    origins: list[str] = []

    def add(
        pixels: NDArray[np.uint8], panels: Sequence[Window], said: Sequence[str], of: str
    ) -> None:
        views = views_of(pixels, settings)
        for panel, kind in zip(panels, said, strict=True):
            if min(panel.width, panel.height) >= 16:
                rows.append(statistics_of(views, panel))
                kinds.append(KINDS.index(kind))
                origins.append(of)

    for file, pixels in read_all(files, _MOST, frozenset()):
        many = len({one.source for one in files if one.kind == file.kind}) > 1
        origin = file.source if many else file.name
        is_band = is_blot(file.kind)
        for picture in (pixels, _worn(rng, _changed(rng, pixels, is_band))):
            whole = Window(0, 0, picture.shape[1], picture.shape[0])
            add(picture, [whole], [kind_of_source(file)], origin)
    for _ in range(_PLOTS):
        plot = _worn(rng, flow_cytometry(rng))
        whole = Window(0, 0, plot.shape[1], plot.shape[0])
        add(plot, [whole], ["drawing"], f"plot {len(rows)}")
    usable = [*photographs(list(files)), *(file for file in files if file.kind == "graph")]
    for number, figure in enumerate(figures(usable, _FIGURES, _SEED)):
        add(figure.pixels, figure.panels, figure.kinds, f"figure {number}")
    return np.array(rows), np.array(kinds), origins


def _changed(rng: np.random.Generator, pixels: NDArray[np.uint8], blot: bool) -> NDArray[np.uint8]:
    """A picture as others print it: gels inverted or tinted, other contrast, writing around it."""
    levels = np.linspace(0, 1, 256) ** float(np.exp(rng.normal(0, 0.25)))
    if blot and rng.random() < 0.35:
        levels = 1 - levels
    shown = np.asarray(cv2.LUT(pixels, (255 * levels).astype(np.uint8)), np.uint8)
    if blot and rng.random() < 0.15:
        tint = rng.uniform(0.3, 1, 3)
        shown = (shown * (tint / tint.max())).astype(np.uint8)
    if rng.random() < 0.3:
        ground, ink = [(255, 0), (0, 255)][int(rng.random() < 0.15)]
        high, wide = shown.shape[:2]
        above, left = (round(float(rng.uniform(0.03, 0.15)) * side) for side in (high, wide))
        around = (ground, ground, ground)
        framed = cv2.copyMakeBorder(shown, above, 4, left, 4, cv2.BORDER_CONSTANT, value=around)
        shown = np.asarray(framed, np.uint8)
        for column in range(0, 8):
            place = (left + column * wide // 8, max(8, above - 3))
            write(shown, str(column + 1), *place, int(np.clip(above, 9, 30)), (ink, ink, ink))
        for row in range(0, 4):
            place = (2, above + (row + 1) * high // 5)
            write(shown, f"{70 - 15 * row}", *place, int(np.clip(left / 2, 9, 30)), (ink, ink, ink))
    return np.asarray(shown, np.uint8)


def _worn(rng: np.random.Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture at another size and after JPEG."""
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(1.5))))
    size = max(32, round(pixels.shape[1] * scale)), max(32, round(pixels.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(pixels, size, interpolation=how)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 97))]
    coded = cv2.imencode(".jpg", np.ascontiguousarray(small), quality)[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def fit(files: Sequence[SourceFile]) -> dict[str, Any]:
    """Trees and their out-of-fold accuracy, as the document that the match detector reads."""
    from sklearn.model_selection import GroupKFold

    rows, kinds, origins = samples(files)
    counts = np.bincount(kinds, minlength=len(KINDS))
    weight = (1.0 / counts)[kinds] * len(kinds) / len(KINDS)
    guessed = np.zeros(len(kinds), np.int64)
    for train, test in GroupKFold(5).split(rows, groups=origins):
        model = _model().fit(rows[train], kinds[train], sample_weight=weight[train])
        guessed[test] = model.predict(rows[test])
    final = _model().fit(rows, kinds, sample_weight=weight)
    confusion = [[int(((kinds == a) & (guessed == b)).sum()) for b in range(3)] for a in range(3)]
    for name, row in zip(KINDS, confusion, strict=True):
        print(f"out of fold: {name:12s} held to be", dict(zip(KINDS, row, strict=True)))
    importance = sorted(
        zip(final.feature_importances_.round(3).tolist(), STATISTICS, strict=True), reverse=True
    )
    print(", ".join(f"{name} {value}" for value, name in importance))
    return {
        "kinds": list(KINDS),
        "statistics": list(STATISTICS),
        "fitted_on": {
            "panels": dict(zip(KINDS, counts.tolist(), strict=True)),
            "versions": machine()["versions"],
        },
        "out_of_fold": {"kinds": list(KINDS), "confusion": confusion},
        "base": [0.0] * len(KINDS),  # kinds weigh the same
        "trees": [[_nodes(tree.tree_) for tree in members] for members in final.estimators_.T],
    }


def _model() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=40,
        learning_rate=_RATE,
        max_depth=3,
        min_samples_leaf=8,
        subsample=0.7,
        max_features=0.5,
        random_state=0,
    )


def _nodes(tree: Any) -> list[list[float]]:
    return [
        [int(f) if f >= 0 else -1, round(float(t), 5), int(a), int(b), round(_RATE * float(v), 5)]
        for f, t, a, b, v in zip(
            tree.feature, tree.threshold, tree.children_left, tree.children_right,
            tree.value[:, 0, 0], strict=True,
        )
    ]  # fmt: skip
