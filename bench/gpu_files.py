"""The whole of `forge predict` on a GPU, from files and from memory: a part of `bench.gpu`.

From memory means uncompressed TIFF files in a RAM disk, which take next to no decoding. Files are
named many times by links, so that a run takes seconds. This has not run on a GPU yet.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from bench.gpu_engines import checkpoint, engine_file
from bench.gpu_parts import CannotRun, Part
from bench.limits import decode_only
from bench.predict_data import draw
from bench.programs import FORGE, run
from bench.views import pillow_rgb
from forgecli.cores import available_cores

SECONDS = 8.0
"""How long a run is to take, about."""


def measure(part: Part) -> None:
    """The limits, then the program on files and from memory, with each engine that is here."""
    count = 64 if part.quick else 256
    files = draw(part.work / "files", count)
    cores = available_cores()
    decode = count / decode_only(files, cores)
    part.add(f"decode alone, {cores} processes", f"{decode:.0f} images/s", decode_per_second=decode)
    engine = part.known("engines", "images_per_second")
    with tempfile.TemporaryDirectory(dir=ram_disk()) as scratch:
        raw = uncompressed(files[: min(count, 64)], Path(scratch) / "raw")
        ready = len(raw) / decode_only(raw, cores)
        part.add("decode alone, from memory", f"{ready:.0f} images/s", from_memory_per_second=ready)
        for name, model in models(part).items():
            for where, pictures, bound in (("files", files, decode), ("memory", raw, ready)):
                limit = min(bound, engine or bound)
                wanted = max(count, round(limit * SECONDS / 2))
                folder = linked(pictures, wanted, Path(scratch) / f"{where}-{model.suffix[1:]}")
                one = linked(pictures, 1, Path(scratch) / f"one-{where}-{model.suffix[1:]}")
                _whole(part, f"{name}, from {where}", model, folder, one, wanted, limit)


def models(part: Part) -> dict[str, Path]:
    """The files of the network that there are engines for."""
    found = {"torch FP16": checkpoint(part.work)}
    try:
        found = {"TensorRT FP16": engine_file(part.work), **found}
    except CannotRun as error:
        part.lacks("TensorRT FP16", error)
    return found


def _whole(
    part: Part, label: str, model: Path, folder: Path, one: Path, count: int, limit: float
) -> None:
    """`forge predict` on a folder, without the time that it takes for one image."""
    precision = ["--precision", "fp16"] if model.suffix.lower() == ".safetensors" else []
    command = [*FORGE, "predict", "--model", str(model), "--device", "cuda:0", "--overwrite",
               "--json", *precision]  # fmt: skip
    out = part.work / "submission.csv"
    try:
        walls = [run([*command, each, "-o", out], os.environ) for each in (one, folder)]
    except SystemExit as error:
        part.lacks(label, error)
        return
    rate = (count - 1) / max(walls[1].wall - walls[0].wall, 1e-9)
    part.add(label, f"{rate:.0f} images/s, {rate / limit:.0%} of the limit",
             end_to_end_per_second=rate, of_limit=rate / limit, images=count,
             start_seconds=walls[0].wall)  # fmt: skip


def ram_disk() -> str | None:
    """A folder in memory, if the system has one."""
    place = Path("/dev/shm")
    if place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > 4 << 30:
        return str(place)
    return None


def uncompressed(files: Sequence[Path], folder: Path) -> list[Path]:
    """The pictures as raw TIFF."""
    folder.mkdir()
    made = []
    for file in files:
        target = folder / f"{file.stem}.tif"
        Image.fromarray(pillow_rgb(file)).save(target)
        made.append(target)
    return made


def linked(files: Sequence[Path], count: int, folder: Path) -> Path:
    """A folder with so many links to the files, which come round again."""
    folder.mkdir()
    for number in range(count):
        file = files[number % len(files)]
        (folder / f"{number:06}{file.suffix}").symlink_to(file)
    return folder
