"""What forgeries are made and how often: the typed recipe and its TOML file.

Weights are relative and need not add up to 1; a weight of 0 switches a thing off. Probabilities are
of one image. Ranges are (lowest, highest). Lengths are in pixels of the finished image unless a
comment says otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import annotated_types as limits
from pydantic import AfterValidator

from forgecli.config import read_config, resolve
from forgecli.errors import UsageError
from forgecli.toml import toml_text

Weight = Annotated[float, limits.Ge(0), limits.Le(1e6)]
Probability = Annotated[float, limits.Ge(0), limits.Le(1)]
Range = tuple[float, float]
WholeRange = tuple[int, int]


def within(lowest: float, highest: float) -> AfterValidator:
    """A check that a range is in order and between two numbers."""

    def check(value: Range) -> Range:
        low, high = value
        if not lowest <= low <= high <= highest:
            raise ValueError(f"is to be [low, high] within {lowest:g} and {highest:g}")
        return value

    return AfterValidator(check)


def _some_weight(weights: tuple[float, ...]) -> tuple[float, ...]:
    if sum(weights) <= 0:
        raise ValueError("has no weight above 0")
    return weights


Weights = Annotated[tuple[Weight, ...], AfterValidator(_some_weight)]


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights of the ways to forge."""

    object: Weight = 0.34
    """a cell, nucleus or particle, outlined by local segmentation, cloned once or several times"""
    region: Weight = 0.20
    """a freely outlined or rectangular region cloned"""
    blot: Weight = 0.12
    """a band, a row of bands or a lane copied within a blot or from one blot to another"""
    panel: Weight = 0.16
    """a panel of a compound figure shown again, whole or in part"""
    overlap: Weight = 0.08
    """two panels that are overlapping crops of one field of view"""
    removal: Weight = 0.10
    """something covered with a copy of textured background"""


@dataclass(frozen=True, slots=True)
class Count:
    """How many copied regions there are, and how large they are."""

    instances: Weights = (0.68, 0.25, 0.06, 0.01)
    """weights of 1, 2, 3, ... groups per image; a group is a source and all its copies"""
    copies: Weights = (0.72, 0.21, 0.07)
    """weights of 1, 2, 3, ... copies of one source (objects and bands)"""
    object_share: Annotated[Range, within(1e-6, 0.5)] = (0.0008, 0.08)
    """share of its panel that one object may cover"""
    region_share: Annotated[Range, within(1e-6, 0.5)] = (0.003, 0.14)
    """share of its panel that one cloned region may cover"""
    min_pixels: Annotated[int, limits.Ge(1)] = 60
    """the fewest pixels a region may have in the finished image"""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a copy is turned. What is not drawn stays as it was."""

    rotate: Probability = 0.30
    """by any angle"""
    quarter_turn: Probability = 0.15
    """by 90, 180 or 270 degrees: no pixel is interpolated"""
    mirror: Probability = 0.25
    scale: Probability = 0.20
    scale_range: Annotated[Range, within(0.1, 10)] = (0.7, 1.4)


@dataclass(frozen=True, slots=True)
class Tone:
    """How the grey levels of a copy are changed."""

    contrast: Probability = 0.20
    contrast_range: Annotated[Range, within(0.05, 10)] = (0.75, 1.3)
    brightness: Probability = 0.20
    brightness_range: Annotated[Range, within(-200, 200)] = (-20.0, 20.0)
    """grey levels of 255"""
    gamma: Probability = 0.12
    gamma_range: Annotated[Range, within(0.1, 10)] = (0.75, 1.35)
    invert: Probability = 0.03
    """panels only"""
    blur: Probability = 0.10
    blur_range: Annotated[Range, within(0, 20)] = (0.4, 1.2)
    """standard deviation"""
    noise: Probability = 0.12
    noise_range: Annotated[Range, within(0, 100)] = (1.0, 5.0)
    """standard deviation in grey levels"""


@dataclass(frozen=True, slots=True)
class Paste:
    """Weights of the ways a copy meets its new surroundings, and where it is put."""

    feather: Weight = 0.55
    hard: Weight = 0.20
    """the outline of the copy may show"""
    poisson: Weight = 0.25
    """Poisson blending (Perez, Gangnet, Blake 2003)"""
    feather_range: Annotated[Range, within(0.1, 50)] = (0.7, 3.0)
    """half the width of the soft edge"""
    level: Probability = 0.6
    """of hard and soft edges: the copy is made lighter or darker to fit its new surroundings"""
    trials: Annotated[int, limits.Ge(1), limits.Le(500)] = 24
    """places looked at for every copy; the one whose surroundings fit best is taken"""


@dataclass(frozen=True, slots=True)
class Figure:
    """Compound figures, composed of panels cut from authentic images."""

    compound: Probability = 0.25
    """of forgeries that fit a single image too; panel and overlap always need a compound figure"""
    max_panels: Annotated[int, limits.Ge(2), limits.Le(40)] = 16
    same_kind: Probability = 0.85
    """panels of one kind (folder); otherwise kinds are mixed"""
    chart: Probability = 0.15
    """one panel of a figure is a chart or a drawing, where the sources hold some"""
    black_gutter: Probability = 0.08
    gutter_range: Annotated[Range, within(0, 0.2)] = (0.0, 0.03)
    """gutter between panels as a share of the figure's width"""
    panel_whole: Weight = 0.45
    """a reused panel covers the other panel from edge to edge"""
    panel_part: Weight = 0.55
    """only a part of a panel is shown again"""


@dataclass(frozen=True, slots=True)
class Finish:
    """What happens to the whole image: before the copy (source) and after it."""

    jpeg_before: Probability = 0.25
    jpeg_before_range: Annotated[WholeRange, within(1, 100)] = (70, 98)
    resample: Probability = 0.45
    """to a long side drawn from the sizes seen in published figures"""
    resample_range: Annotated[Range, within(0.05, 20)] = (0.5, 2.5)
    """limits of the factor"""
    max_side: Annotated[int, limits.Ge(64), limits.Le(20_000)] = 3000
    blur: Probability = 0.06
    blur_range: Annotated[Range, within(0, 20)] = (0.4, 1.0)
    noise: Probability = 0.15
    noise_range: Annotated[Range, within(0, 100)] = (0.8, 4.0)
    jpeg: Probability = 0.35
    jpeg_range: Annotated[WholeRange, within(1, 100)] = (60, 97)


@dataclass(frozen=True, slots=True)
class Annotate:
    """What is drawn on top, on the forgery and on its authentic twin alike."""

    letters: Probability = 0.85
    """panel letters, in compound figures"""
    titles: Probability = 0.35
    """names of rows and columns, in compound figures"""
    lane_labels: Probability = 0.7
    """on blots"""
    scale_bar: Probability = 0.35
    arrow: Probability = 0.15
    box: Probability = 0.08


@dataclass(frozen=True, slots=True)
class Negatives:
    """Authentic images that look as if something were copied. They have no mask."""

    share: Probability = 0.15
    """of all cases; the rest are forgeries"""
    plain: Weight = 0.30
    """an authentic image or figure, finished and annotated as a forgery is"""
    channels: Weight = 0.20
    """one field of view in several channels and their merge: authentic by definition"""
    replicates: Weight = 0.20
    """panels cut from one field of view that do not overlap"""
    lookalikes: Weight = 0.15
    """particles, lattices or bands of one make, each drawn with its own noise"""
    inset: Weight = 0.15
    """a part of a panel shown magnified, with a box around it: authentic by definition"""


@dataclass(frozen=True, slots=True)
class Output:
    """How images are written."""

    twins: Probability = 0.8
    """of forgeries whose authentic twin is written too, under the same id"""
    rgba: Probability = 0.28
    """an opaque fourth channel"""
    grey: Probability = 0.15
    """one channel, of images that have no colour"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All of it. The defaults come near what is published about real cases."""

    mix: Mix = field(default_factory=Mix)
    count: Count = field(default_factory=Count)
    geometry: Geometry = field(default_factory=Geometry)
    tone: Tone = field(default_factory=Tone)
    paste: Paste = field(default_factory=Paste)
    figure: Figure = field(default_factory=Figure)
    finish: Finish = field(default_factory=Finish)
    annotate: Annotate = field(default_factory=Annotate)
    negatives: Negatives = field(default_factory=Negatives)
    output: Output = field(default_factory=Output)

    def tables(self) -> dict[str, dict[str, Any]]:
        """The recipe as plain tables of numbers, for JSON or TOML."""
        return dataclasses.asdict(self)


def load_recipe(file: Path | None) -> Recipe:
    """Read a recipe. Tables and keys that are not in the file keep their defaults.

    Raises:
        UsageError: no such file, not TOML, an unknown table or key, or a value that cannot be.
    """
    kinds: dict[str, Any] = {item.name: item.default_factory for item in dataclasses.fields(Recipe)}
    config: Mapping[str, Mapping[str, Any]] = {} if file is None else read_config(file, kinds)
    made: dict[str, Any] = {
        # The environment has no say: a recipe file and a seed give one data set, everywhere.
        name: resolve(kind, name, config=config, file=file, environment={}, flags={})
        for name, kind in kinds.items()
    }
    recipe = Recipe(**made)
    needed: dict[str, Mix | Paste | Negatives] = {"mix": recipe.mix, "paste": recipe.paste}
    if recipe.negatives.share:
        needed["negatives"] = recipe.negatives
    for name, table in needed.items():
        if not sum(weights_of(table).values()):
            raise UsageError(f"[{name}] has no weight above 0.", file=file)
    return recipe


def weights_of(table: Mix | Paste | Negatives) -> dict[str, float]:
    """The weights of a table by name, without its ranges and numbers of other meaning."""
    other = {"share", "level", "trials"}
    return {
        item.name: float(getattr(table, item.name))
        for item in dataclasses.fields(table)
        if item.name not in other and isinstance(getattr(table, item.name), int | float)
    }


def recipe_text(recipe: Recipe) -> str:
    """A recipe as TOML that `load_recipe` reads back to an equal one."""
    return toml_text(recipe.tables())
