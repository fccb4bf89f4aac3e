"""What a network is worth, measured on full-size images by the code that predicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.base import Precision
from engines.torch import TorchEngine
from forgecli.cases.decode import MAX_PIXELS, read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from forgecli.detection import Case, Picture, Runs
from forgecli.errors import ForgeError
from forgecli.segment.maps import NotFinite, logits_of
from forgecli.segment.models.network import Network
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from forgecli.train.distributed import World
from forgecli.train.gallery import Finding
from forgecli.train.settings import ValidationSettings
from forgecli.tune.grid import COARSE
from forgecli.tune.overlap import pixel_overlap
from forgecli.tune.sweep import best
from forgecli.tune.tables import ImageTable
from kernels.rle import encode

_AHEAD = 4
"""Pictures that are read while the network is busy with another."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What one validation found.

    Attributes:
        figures: numbers by name, for people and files.
        order: the later in this order, the better: the chosen figure, then what breaks ties.
        thresholds: the best of a coarse sweep on these very images.
        findings: some images with what was found in them.
    """

    figures: dict[str, float]
    order: tuple[float, ...]
    thresholds: Thresholds
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Validator:
    """Measures networks on the same images every time.

    Attributes:
        cases: with their masks; those of all processes, which share them out.
        preprocess, settings, device, precision: how to predict and what to count.
        world: the processes.
        max_pixels: larger images cannot be read.
        warn: is told of images that cannot be read any more.
    """

    cases: Sequence[Case]
    preprocess: Preprocess
    settings: ValidationSettings
    device: torch.device
    precision: Precision
    world: World
    max_pixels: int = MAX_PIXELS
    warn: Callable[[str], None] = lambda text: None
    _truths: dict[str, list[Runs]] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    def __call__(self, network: Network) -> Validation:
        """Figures of a network. Its mode is as before afterwards.

        Raises:
            ForgeError: no image could be read, or the network gives what is no number.
        """
        grid = COARSE.with_policies((self.settings.instances,))
        engine = TorchEngine(network, device=str(self.device), precision=self.precision)
        drawn = self._drawn()
        findings: list[Finding] = []
        tables: list[tuple[int, ImageTable]] = []
        mine = range(self.world.rank, len(self.cases), self.world.size)
        for number, (picture, truth) in self._pictures(mine):
            try:
                logits = logits_of(picture.pixels, engine, self.preprocess, self.settings.tta)
            except NotFinite as error:
                raise ForgeError(f"at validation, {error}", mend="lower --lr") from error
            needs = picture.pixels if self.settings.instances == "matched" else None
            table = ImageTable.of(logits, truth, grid, case_id=picture.case_id, pixels=needs)
            tables.append((number, table))
            if number in drawn:
                findings.append(Finding.of(picture, truth, logits))
        parts = self.world.gather(tables)
        gathered = [table for _, table in sorted((p for part in parts for p in part), key=_first)]
        if not gathered:
            raise ForgeError("no image to validate on could be read.")
        overlap = pixel_overlap(gathered, grid)
        dice, iou = overlap.at(0.5)
        chosen = best(gathered, grid)
        figures = {
            "dice": _number(dice),
            "iou": _number(iou),
            "dice_best": _number(overlap.at(overlap.best_pixel())[0]),
            "metric": chosen.score,
            "all_authentic": chosen.all_authentic,
            "validated": float(len(gathered)),
        }
        ties = {"metric": ("metric", "dice_best"), "dice": ("dice", "metric"),
                "iou": ("iou", "metric")}  # fmt: skip
        order = tuple(figures[name] for name in ties[self.settings.by])
        return Validation(figures, order, chosen.thresholds, tuple(findings))

    def _drawn(self) -> set[int]:
        """Numbers of the images to draw: forged ones of this process, spread over all of them."""
        mine = range(self.world.rank, len(self.cases), self.world.size)
        forged = [number for number in mine if self.cases[number].mask is not None]
        count = min(self.settings.samples, len(forged))
        return {forged[index * len(forged) // count] for index in range(count)}

    def _pictures(self, numbers: range) -> Iterator[tuple[int, tuple[Picture, list[Runs]]]]:
        """Pictures and truths in order, some of them read ahead."""
        with ThreadPoolExecutor(1) as pool:
            todo = iter(numbers)
            start = partial(_submit, pool, self._read)
            waiting = deque((n, start(self.cases[n])) for n in islice(todo, _AHEAD))
            try:
                while waiting:
                    number, future = waiting.popleft()
                    waiting.extend((n, start(self.cases[n])) for n in islice(todo, 1))
                    try:
                        yield number, future.result()
                    except (Unreadable, TooLarge) as error:
                        name = self.cases[number].case_id
                        if name not in self._warned:
                            self._warned.add(name)
                            self.warn(f"{name} is not validated on: {error}")
            finally:
                for _, future in waiting:
                    future.cancel()

    def _read(self, case: Case) -> tuple[Picture, list[Runs]]:
        picture, _ = read_picture(case, self.max_pixels)
        truth = self._truths.get(case.case_id)
        if truth is None:
            truth = []
            if case.mask is not None:
                shape = picture.pixels.shape[:2]
                truth = [encode(plane) for plane in read_mask(case.mask, shape)[0]]
            self._truths[case.case_id] = truth
        return picture, truth


def _submit(pool: ThreadPoolExecutor, read: Any, case: Case) -> Future[Any]:
    return pool.submit(read, case)


def _first(pair: tuple[int, ImageTable]) -> int:
    return pair[0]


def _number(value: float | NDArray[np.float64]) -> float:
    """NaN, where there is no forged image, as 0: files of JSON have no NaN."""
    return 0.0 if np.isnan(value) else float(value)


def some_of(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """The same `count` of the cases every time, in order; all of them if `count` is 0."""
    if not count or count >= len(cases):
        return list(cases)
    chosen = np.random.default_rng(seed).permutation(len(cases))[:count]
    return [cases[index] for index in sorted(chosen.tolist())]
