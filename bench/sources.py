"""Where the benches' images come from, and which of them nothing was fitted on.

The images lie beside the project (`../shared/data`, or the folder that FORGE_SHARED names) and are
not part of it. Without them, the benches that need them say so and stop.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

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

SPLIT_BY_FILE = frozenset({"blots_athenaz2_raw", "opendiagram_pmc", "matplotlib_plots"})
"""The only sources of their kinds: a third of their files is held out."""

NO_PHOTOGRAPHS = frozenset({"figure", "graph"})
"""Kinds that hold mostly drawings: authentic examples, but nothing to make forgeries from."""


def data_folder() -> Path:
    """The folder of real images; ends the program with a reason where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("FORGE_SHARED", beside)) / "data"
    if not folder.is_dir():
        sys.exit("no real images: set FORGE_SHARED to the folder that holds data/")
    return folder


def authentic_files() -> tuple[list[SourceFile], list[SourceFile]]:
    """Authentic images to fit on, and authentic images to test on."""
    folder = data_folder()
    fitted, held_out = [], []
    for file in list_sources(folder / "authentic", folder / "authentic.csv"):
        (held_out if _is_held_out(file) else fitted).append(file)
    return fitted, held_out


def _is_held_out(file: SourceFile) -> bool:
    if file.source in SPLIT_BY_FILE:
        return int(hashlib.sha256(file.name.encode()).hexdigest(), 16) % 3 == 0
    return file.source in HELD_OUT


def photographs(files: list[SourceFile]) -> list[SourceFile]:
    """Those of the files that forgeries can be made from."""
    return [file for file in files if file.kind not in NO_PHOTOGRAPHS]


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
