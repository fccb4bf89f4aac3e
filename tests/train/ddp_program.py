"""One of two processes that train together: `python -m tests.train.ddp_program FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

from forgecli.segment.batch import Batch
from forgecli.segment.checkpoint import plain_tensors
from forgecli.train.distributed import World, together, world_of
from forgecli.train.progress import Limits
from tests.train.runs import Made, Tiny, batches, make_loop


class WithIdlePart(Tiny):
    """Has a parameter that not every batch uses, as detectors have."""

    def __init__(self) -> None:
        super().__init__(dropout=0.0, norm=False)
        self.idle = torch.nn.Parameter(torch.ones(3))


def whole_batches(epoch: int, start: int) -> Iterator[Batch]:
    return batches(3, size=4)(epoch, start)


def half_batches(rank: int, epoch: int, start: int) -> Iterator[Batch]:
    for batch in whole_batches(epoch, start):
        part = slice(2 * rank, 2 * rank + 2)
        yield Batch(batch.images[part], batch.masks[part], batch.instances[part],
                    batch.case_ids[part])  # fmt: skip


def one_step(world: World, loader, limits: Limits) -> Made:  # type: ignore[no-untyped-def]
    made = make_loop(limits, network=WithIdlePart(), loader=loader, world=world)
    made.loop.run()
    return made


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    world = world_of(os.environ)
    with together(world, torch.device("cpu")):
        made = one_step(world, partial(half_batches, world.rank), Limits(epochs=2, steps=3))
    tensors, _ = made.loop.state()
    save_file(plain_tensors(tensors), folder / f"{world.rank}.safetensors")
    progress = made.loop.progress
    told = {
        "kept": len(made.keeper.kept),
        "loss": progress.history[-1]["loss"],
        "images": progress.images,
    }
    (folder / f"{world.rank}.json").write_text(json.dumps(told))
