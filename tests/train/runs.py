"""What tests of runs share: a small data set, fakes, and a small network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from forgecli.segment.batch import Batch
from forgecli.segment.models.network import Network
from forgecli.segment.thresholds import Thresholds
from forgecli.train.distributed import World
from forgecli.train.ema import Average
from forgecli.train.loop import Loop
from forgecli.train.optimiser import build_optimiser
from forgecli.train.progress import Limits, Progress
from forgecli.train.roles import State
from forgecli.train.schedule import Schedule
from forgecli.train.settings import OptimiserSettings, ScheduleSettings
from forgecli.train.step import Stepper, StepSettings
from forgecli.train.validation import Validation
from forgecli.train.watchers import Watcher


def write_data_set(folder: Path, count: int = 10, side: int = 48, seed: int = 0) -> Path:
    """Pairs of an authentic picture of noise and its twin with two bright squares."""
    drawn = np.random.default_rng(seed)
    images, masks = folder / "train_images", folder / "train_masks"
    for part in (images / "authentic", images / "forged", masks):
        part.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = drawn.integers(0, 90, (side, side, 3), dtype=np.uint8)
        assert cv2.imwrite(str(images / "authentic" / f"{number}.png"), pixels)
        mask = np.zeros((1, side, side), np.uint8)
        for left in (4, side - 16):
            top = int(drawn.integers(2, side - 14))
            mask[0, top : top + 12, left : left + 12] = 1
        pixels[mask[0] > 0] = 230
        assert cv2.imwrite(str(images / "forged" / f"{number}.png"), pixels)
        np.save(masks / f"{number}.npy", mask)
    return folder


class Tiny(Network):
    """Two convolutions with what makes resuming hard: dropout and batch statistics."""

    multiple = 1

    def __init__(self, *, dropout: float = 0.2, norm: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.drop = nn.Dropout(dropout)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu(self.norm(self.first(images)))  # (N, 4, H, W)
        return self.last(self.drop(inner))  # type: ignore[no-any-return]


def batches(
    count: int, size: int = 4, poisoned: int | None = None, side: int = 8
) -> Callable[[int, int], Iterator[Batch]]:
    """A loader: batch n of an epoch depends on the epoch and n alone.

    Args:
        poisoned: this batch of epoch 1 holds a NaN.
    """

    def load(epoch: int, start: int) -> Iterator[Batch]:
        for number in range(start, count):
            generator = torch.Generator().manual_seed(1000 * epoch + number)
            images = torch.rand(size, 3, side, side, generator=generator)
            masks = (images.mean(1, keepdim=True) > 0.5).float()
            if poisoned == number and epoch == 1:
                images[0, 0, 0, 0] = float("nan")
            yield Batch(images, masks, [m.to(torch.uint8) for m in masks],
                        [f"{epoch}-{number}-{i}" for i in range(size)])  # fmt: skip

    return load


class FakeStop:
    """Asks to stop when it was asked so many times."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        self.count = 0
        self.raises = False

    def asked(self) -> bool:
        self.count += 1
        return self.after is not None and self.count >= self.after

    @contextmanager
    def at_once(self) -> Iterator[None]:
        if self.raises:
            raise KeyboardInterrupt
        yield


@dataclass
class FakeKeeper:
    """Keeps copies in memory."""

    kept: list[bool] = field(default_factory=list)
    state: State | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    def sample(self, epoch: int, validation: Validation) -> None:
        return None

    def keep(
        self, network: Network, progress: Progress, state: Callable[[], State], *, best: bool
    ) -> None:
        tensors, document = state()
        self.state = {name: value.clone() for name, value in tensors.items()}, document
        self.weights = {name: value.clone() for name, value in network.state_dict().items()}
        if best:
            self.best = self.weights
        self.kept.append(best)

    def end(self, progress: Progress) -> None:
        return None


class FakeWatcher(Watcher):
    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self.losses: list[float] = []

    def step(self, progress: Progress, limits: Limits) -> None:
        self.losses.append(progress.loss)

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        self.rows.append(row)


def figures(metric: float, dice: float = 0.0) -> Validation:
    found = {"metric": metric, "dice": dice, "iou": 0.0, "all_authentic": 0.5}
    return Validation(found, (metric, dice), Thresholds())


@dataclass
class Made:
    """A loop with all its parts."""

    loop: Loop
    network: Network
    keeper: FakeKeeper
    watcher: FakeWatcher


def make_loop(
    limits: Limits,
    *,
    network: Network | None = None,
    loader: Callable[[int, int], Iterator[Batch]] | None = None,
    stop: FakeStop | None = None,
    validate: Callable[[Network], Validation] = lambda network: figures(0.5),
    optimiser: OptimiserSettings = OptimiserSettings(lr=0.05),
    schedule: ScheduleSettings = ScheduleSettings(warmup=2),
    stepping: StepSettings = StepSettings(clip=1.0),
    ema: float = 0.9,
    accumulate: int = 1,
    criterion: Any = nn.functional.binary_cross_entropy_with_logits,
    now: Callable[[], float] = lambda: 0.0,
    world: World = World(),
) -> Made:
    """A loop on the CPU, the same every time."""
    torch.set_num_threads(1)
    network = (network or Tiny()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    built = build_optimiser(network, optimiser)
    keeper, watcher = FakeKeeper(), FakeWatcher()
    device = torch.device("cpu")
    loop = Loop(
        network,
        Average(network, ema) if ema else None,
        Stepper(network, criterion, built, device, stepping, world),
        built,
        Schedule(schedule, optimiser.lr),
        loader or batches(limits.steps * accumulate),
        accumulate,
        validate,
        keeper,
        watcher,
        stop or FakeStop(),
        limits,
        world,
        now,
    )
    return Made(loop, network, keeper, watcher)


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether all tensors are the same bit for bit."""
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )
