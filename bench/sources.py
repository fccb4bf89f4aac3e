"""Where the benches' images come from, and which of them nothing was fitted on.

The images lie beside the project (`../shared/data`, or the folder that FORGE_SHARED names) and are
not part of it. Without them, the benches that need them say so and stop.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from bench.repeats import distinct, scene_of
from forgecli.synth.sources import SourceFile, list_sources

HELD_OUT = frozenset(
    {
        "biapol",
        "biapol_ts",
        "bonemarrow_mini",
        "brecahad_mini",
        "cellprofiler_sbs",
        "gels_maxschommer",
        "neubias",
        "skimage_data",
        "tem_nanoparticles",
        "wbc_zxaoyou",
    }
)
"""Whole sources that nothing is fitted on."""

SPLIT_BY_FILE = frozenset(
    {"blots_athenaz2_raw", "gels_kalthommusa", "opendiagram_pmc", "matplotlib_plots"}
)
"""The only sources of their kinds: a third of their files is held out, scene by scene."""

SERIES = {
    "blots_athenaz2_raw": r"pone\.\d+|Raw_images|Western_blot_images_revised|SCC|Figure2|Elias",
    "opendiagram_pmc": r"PMC\d+|rahul\d|phys(?:rev|ical)\w*\.[\d.]+",
    "matplotlib_plots": r"^test_[a-z0-9]+",
}
"""What names a paper, or a series of images made together, in a file's original name. Blots of one
series are of one membrane or exposure, figures of one paper share panels and drawings."""

NO_PHOTOGRAPHS = frozenset({"figure", "graph"})
"""Kinds that hold mostly drawings: authentic examples, but nothing to make forgeries from."""

KIND_BY_EYE = {"gels_maxschommer": "graph"}
"""Sources filed under another kind than they show: these gels are plots of brightness over distance
and of its ratios, lines on white."""

DRAWN = frozenset(
    (
        *(
            f"mixed/skimage_data_{name}"
            for name in ("000.png", "005.png", "009.tif", "011.png", "012.png", "018.png")
        ),
        "gel/gels_kalthommusa_018.jpg",
    )
)
"""By eye, no photographs either: a colour wheel, a printed page, a chequerboard, a phantom, a
silhouette, a drawing of a gel. A copied letter, square or band cannot be told from the next one."""

CLONED = frozenset({"mixed/skimage_data_010.png", "mixed/skimage_data_017.png"})
"""Textures of grass and gravel that were made seamless by cloning: the same stalks and stones stand
in them twice. Nothing is made of them; as authentic images they count, and as false positives."""


DUSTY = frozenset({"bccd"})
"""Sources with two rings of dust on the optics, at the same places in every image. A figure made of
two of them shows the same dust twice, which its truth denies: the judge is not fitted on forgeries
made of them, nor on their twins. As authentic images they count."""


def data_folder() -> Path:
    """The folder of real images; ends the program with a reason where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("FORGE_SHARED", beside)) / "data"
    if not folder.is_dir():
        sys.exit("no real images: set FORGE_SHARED to the folder that holds data/")
    return folder


def authentic_files() -> tuple[list[SourceFile], list[SourceFile]]:
    """Authentic images to fit on, and authentic images to test on. Sources that are split by file
    have files of one series on both sides."""
    folder = data_folder()
    files = [
        replace(file, kind=KIND_BY_EYE.get(file.source, file.kind))
        for file in list_sources(folder / "authentic", folder / "authentic.csv")
    ]
    fitted = [file for file in files if not is_held_out(file)]
    return fitted, [file for file in files if is_held_out(file)]


def origin_of(file: SourceFile) -> str:
    """What a file must not share with another fold: its source; where there is only one source of
    its kind, its series; where it is of none, its scene."""
    if file.source not in SPLIT_BY_FILE:
        return file.source
    pattern = SERIES.get(file.source)
    found = pattern and re.search(pattern, _original_names().get(file.name, file.name))
    return f"{file.source}: {found[0] if found else scene_of(file.name)}"


@cache
def _original_names() -> dict[str, str]:
    """The name of every authentic image where it came from, by its path below their folder."""
    with (data_folder() / "authentic.csv").open(newline="", encoding="utf-8") as table:
        return {
            row["file"].removeprefix("authentic/"): row["original_name"]
            for row in csv.DictReader(table)
        }


def is_held_out(file: SourceFile) -> bool:
    """Whether nothing may be fitted on a file."""
    if file.source in SPLIT_BY_FILE:
        if file.source == "gels_kalthommusa":  # 30 scenes: a hash would hold out four
            return int(Path(scene_of(file.name)).stem[-3:]) % 3 == 0
        return int(hashlib.sha256(file.name.encode()).hexdigest(), 16) % 3 == 0
    return file.source in HELD_OUT


def photographs(files: list[SourceFile]) -> list[SourceFile]:
    """Those of the files that forgeries can be made from, one for each scene (`bench.repeats`)."""
    unfit = DRAWN | CLONED
    return distinct([f for f in files if f.kind not in NO_PHOTOGRAPHS and f.name not in unfit])


def spread(files: list[SourceFile], most: int) -> list[SourceFile]:
    """At most so many files of every kind, evenly spread over those there are."""
    kinds: dict[str, list[SourceFile]] = {}
    for file in files:
        kinds.setdefault(file.kind, []).append(file)
    chosen = []
    for kind in sorted(kinds):
        members = kinds[kind]
        count = min(most, len(members))
        chosen += [members[i * len(members) // count] for i in range(count)]
    return chosen
