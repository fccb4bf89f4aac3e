"""Several processes that train one network, as torchrun starts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from forgecli.errors import UsageError

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: they may have more of a validation to do."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run. Alone, all of it is free of cost.

    Attributes:
        rank: the number of this process.
        size: how many there are.
        local_rank: the number of this process on its machine, which is that of its GPU.
        local_size: how many are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        if self.size == 1:
            return flag
        shared = torch.tensor(float(flag))
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def agree(self, asked: bool, broken: bool, seconds: float) -> tuple[bool, bool, float]:
        """Whether each is so in any process, and the mean of the seconds: the same in all."""
        if self.size == 1:
            return asked, broken, seconds
        shared = torch.tensor([asked, broken, seconds], dtype=torch.float64)
        dist.all_reduce(shared)
        return bool(shared[0] > 0), bool(shared[1] > 0), float(shared[2]) / self.size

    def mean(self, *values: float) -> list[float]:
        """The mean of each value over the processes, the same bits in all of them."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(shared)
        return [float(value) / self.size for value in shared]

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def share(self, tensors: Mapping[str, Tensor]) -> None:
        """Give the tensors of the first process to all, in place."""
        if self.size > 1:
            for _, tensor in sorted(tensors.items()):
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait for all the others to come here."""
        self.any(False)


def world_of(environment: Mapping[str, str]) -> World:
    """What torchrun says of this process.

    Raises:
        UsageError: the variables are not numbers that fit together.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if "WORLD_SIZE" not in environment:
        return World()
    try:
        rank, size, local_rank, local_size = (int(environment.get(n) or _BARE[n]) for n in names)
    except ValueError as error:
        raise UsageError(
            f"one of {', '.join(names)} is not a number: {error}.", mend="start it with torchrun"
        ) from error
    if not 0 <= rank < size or not 0 <= local_rank < local_size:
        raise UsageError(f"RANK {rank} is not one of {size} processes.", mend="use torchrun")
    return World(rank, size, local_rank, local_size)


_BARE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


@contextmanager
def together(world: World, device: torch.device) -> Iterator[None]:
    """In this block the processes of `world` know each other: NCCL for tensors on GPUs, Gloo for
    all else."""
    if world.size == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def parallel(module: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The module with gradients averaged over the processes; alone, the module itself.

    Parameters that a batch does not use are looked for in every step: a detector's mask head has
    nothing to do where no crop holds an instance.
    """
    if world.size == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)
