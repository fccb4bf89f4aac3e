"""The files and the network of `bench.predict`: drawn by a seed, so that anyone gets the same.

The files are of the formats and sizes that people have: PNG (RGB, RGBA, grey, 16-bit), JPEG and
TIFF, 0.3 to 16 Mpx with a median of 1 Mpx, sides of any parity; a third of them without cells, a
third with a few, a third with many.

The network is a U-Net whose weights are random by a seed. So that its maps have regions, its batch
normalisation takes its statistics from the pictures, and its last layer is scaled and shifted so
that a share of the pixels (`FLAGGED`) reaches the threshold, dark cells rather than the ground. It
knows nothing about copies; the arithmetic and the kinds of maps are those of a trained network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgecli.cases.decode import read_picture
from forgecli.cores import available_cores
from forgecli.detection import Case
from forgecli.segment.checkpoint import Card, save_checkpoint
from forgecli.segment.preprocess import Preprocess, to_input
from forgecli.segment.thresholds import Thresholds

SEED = 20260
FLAGGED = 0.03
"""Share of all pixels that reach the threshold."""

KINDS = ("none", "few", "many")

FORMATS: dict[str, float] = {
    "png": 0.42,
    "png rgba": 0.18,
    "png grey": 0.06,
    "png grey 16": 0.04,
    "jpg": 0.18,
    "tif": 0.04,
    "tif lzw": 0.04,
    "tif grey 16": 0.04,
}
"""Share of the files by format."""

SMALLEST, MEDIAN, LARGEST = 0.3, 1.0, 16.0
"""Megapixels."""

THRESHOLDS = Thresholds(pixel=0.5, min_area=300, quantile=0.999, gate=0.5, instances="components")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one file is to be."""

    number: int
    shape: tuple[int, int]
    form: str
    kind: str

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.number:05}.{self.form.split()[0]}"


def drawings(count: int, seed: int = SEED) -> list[Drawing]:
    """What to draw. The sizes are spread as logarithms of a bell curve, the largest one always."""
    rng = np.random.default_rng(seed)
    forms = rng.choice(list(FORMATS), size=count, p=list(FORMATS.values()))
    sizes = np.clip(np.exp(rng.normal(math.log(MEDIAN), 0.75, count)), SMALLEST, LARGEST)
    sizes[-1] = LARGEST if count > 8 else MEDIAN
    ratios = np.exp(rng.normal(0, 0.3, count))
    found = []
    for number, (form, size, ratio) in enumerate(zip(forms, sizes, ratios, strict=True)):
        height = round(math.sqrt(size * 1e6 * ratio))
        width = round(size * 1e6 / height)
        found.append(Drawing(number, (height, width), str(form), KINDS[number % len(KINDS)]))
    return found


def draw(folder: Path, count: int, seed: int = SEED) -> list[Path]:
    """Write the files, on all cores; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    each = drawings(count, seed)
    missing = [one for one in each if not (folder / one.name).exists()]
    work = partial(_drawn, folder, seed)
    if len(missing) > 8 and available_cores() > 1:
        with get_context("spawn").Pool(available_cores()) as pool:
            pool.map(work, missing, chunksize=4)
    else:
        for one in missing:
            work(one)
    return [folder / one.name for one in each]


def _drawn(folder: Path, seed: int, each: Drawing) -> None:
    file = folder / each.name
    begun = file.with_name(f".begun-{file.name}")
    rng = np.random.default_rng([seed, each.number])
    written(begun, each.form, picture(each, _noise(seed), rng))
    begun.replace(file)


@cache
def _noise(seed: int) -> NDArray[np.float32]:
    """float32 (2048, 2048, 3): the noise of all pictures of a seed."""
    return np.random.default_rng(seed).normal(0, 2, (2048, 2048, 3)).astype(np.float32)


def picture(
    each: Drawing, noise: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): an uneven bright ground with noise, and dark cells on it."""
    height, width = each.shape
    coarse = rng.uniform(-12, 12, (5, 5, 3)).astype(np.float32)
    ground = 190 + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cells = {"none": 0, "few": int(rng.integers(1, 5)), "many": int(rng.integers(20, 60))}[
        each.kind
    ]
    canvas = np.ascontiguousarray(ground)
    for _ in range(cells):
        at = int(rng.integers(width)), int(rng.integers(height))
        radius = math.sqrt(height * width) * rng.uniform(0.012, 0.05)
        axes = max(int(radius), 3), max(int(radius * rng.uniform(0.5, 1)), 3)
        colour = [float(level) for level in rng.uniform(20, 90, 3)]
        cv2.ellipse(canvas, at, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    for top in range(0, height, len(noise)):  # the noise is repeated, from another place each time
        for left in range(0, width, len(noise)):
            part = canvas[top : top + len(noise), left : left + len(noise)]
            y, x = (int(rng.integers(0, len(noise) - side + 1)) for side in part.shape[:2])
            np.add(part, noise[y : y + part.shape[0], x : x + part.shape[1]], out=part)
    return canvas.clip(0, 255).astype(np.uint8)


def written(file: Path, form: str, pixels: NDArray[np.uint8]) -> None:
    """Write one picture in one of the `FORMATS`."""
    grey = pixels[:, :, 1]
    if "16" in form:
        deep = grey.astype(np.uint16) * 200 + 17
        options = {"compression": "tiff_adobe_deflate"} if form.startswith("tif") else {}
        Image.fromarray(deep).save(file, **options)
    elif form == "png rgba":
        opaque = np.full(grey.shape, 255, np.uint8)
        cv2.imwrite(str(file), np.dstack([pixels[:, :, ::-1], opaque]))
    elif form == "png grey":
        cv2.imwrite(str(file), grey)
    elif form == "tif lzw":
        Image.fromarray(pixels).save(file, compression="tiff_lzw")
    elif form == "jpg":
        Image.fromarray(pixels).save(file, quality=90)
    elif form == "tif":
        Image.fromarray(pixels).save(file)
    else:
        cv2.imwrite(str(file), pixels[:, :, ::-1])


def write_network(
    weights: Path, encoder: str, size: int, files: Sequence[Path], seed: int = SEED
) -> dict[str, Any]:
    """A U-Net as a checkpoint, calibrated on some of the files; what was done, for the record.

    Args:
        weights: the safetensors file to write.
        encoder: as segmentation-models-pytorch names it.
        size: of the view, pixels.
        files: pictures; the first 24 are looked at.
    """
    import torch

    from forgecli.segment.models.registry import build

    torch.manual_seed(seed)
    arguments = {"encoder": encoder}
    network = build("unet", **arguments)
    preprocess = Preprocess(view="resize", size=size)
    arrays = []
    for file in files[:24]:
        found, _ = read_picture(Case(file.stem, file))
        arrays.append(to_input(found.pixels, preprocess, network.multiple, network.size).array)
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all that is seen
    with torch.no_grad():
        network.train()
        for array in arrays:
            network(torch.from_numpy(array[None]))
        network.eval()
        maps = [network(torch.from_numpy(array[None]))[0, 0].numpy() for array in arrays]
        values = np.concatenate([each.ravel() for each in maps])
        dark = np.concatenate([array.mean(axis=0).ravel() < 0.5 for array in arrays])
        sign = 1.0 if values[dark].mean() > values[~dark].mean() else -1.0
        gain = sign * 4.0 / float(values.std())
        shift = -float(np.quantile(values * gain, 1 - FLAGGED))
        head = [each for each in network.modules() if isinstance(each, torch.nn.Conv2d)][-1]
        if head.out_channels != network.outputs or head.bias is None:
            raise SystemExit("the last layer of the network is not its head")
        head.weight *= gain
        head.bias.mul_(gain).add_(shift)
    card = Card("unet", arguments, preprocess=preprocess, thresholds=THRESHOLDS)
    save_checkpoint(weights, network, card)
    parameters = sum(each.numel() for each in network.parameters())
    return {"model": "unet", "encoder": encoder, "size": size, "seed": seed,
            "parameters": parameters, "flagged_share": FLAGGED}  # fmt: skip
