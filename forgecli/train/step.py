"""One step of the optimiser: forward and backward passes in mixed precision, clipping, update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from engines.base import Precision
from forgecli.errors import ForgeError
from forgecli.segment.batch import Batch
from forgecli.segment.models.network import Criterion, Network
from forgecli.train.distributed import World, parallel

_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a step is made.

    Attributes:
        precision: see `LoopSettings`.
        clip: the largest norm of the gradient; 0: any.
        channels_last: memory layout of pictures.
        seed: decides what the network draws (dropout).
    """

    precision: Precision = "fp32"
    clip: float = 0.0
    channels_last: bool = True
    seed: int = 0


class _LossOf(nn.Module):
    """A network's loss as a module, since gradients are averaged around `forward` alone."""

    def __init__(self, network: Network, criterion: Criterion) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion

    def forward(self, batch: Batch) -> Tensor:
        return self.network.loss(batch, self.criterion)


class Stepper:
    """Makes the steps of a run.

    Args:
        network: on `device`, in training mode while steps are made.
        criterion: see `Network.loss`.
        optimiser: over the network's parameters.
        device: where the network is.
        settings: see there.
        world: the processes that share the work.
    """

    def __init__(
        self,
        network: Network,
        criterion: Criterion,
        optimiser: Optimizer,
        device: torch.device,
        settings: StepSettings,
        world: World,
    ) -> None:
        self._network = network
        self._loss = parallel(_LossOf(network, criterion), world, device)
        self._optimiser = optimiser
        self._device = device
        self._settings = settings
        self._world = world
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

    def step(self, batches: Sequence[Batch], number: int) -> Tensor:
        """One update from the mean gradient of some batches.

        Args:
            batches: on any device.
            number: of the step, which with the seed decides what the network draws, so that a run
                can be resumed without keeping the state of generators.

        Returns:
            float32 (), on the device: the mean loss of the batches in this process. It may not be
            finite; what is then in the weights is of no use.

        Raises:
            ForgeError: the memory of the device is used up.
        """
        settings = self._settings
        torch.manual_seed((settings.seed * 1_000_003 + number) * 1_009 + self._world.rank)
        self._optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._device)
        with _memory_errors(self._device):
            for index, batch in enumerate(batches):
                moved = batch.to(self._device, channels_last=settings.channels_last)
                with self._unshared(last=index == len(batches) - 1):
                    with self._autocast():
                        loss = self._loss(moved) / len(batches)
                    self.scaler.scale(loss).backward()
                total += loss.detach().float()
            if settings.clip:
                self.scaler.unscale_(self._optimiser)
                clip_grad_norm_(self._network.parameters(), settings.clip)
            self.scaler.step(self._optimiser)
            self.scaler.update()
        return total

    def _autocast(self) -> Any:
        if self._settings.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, _TYPES[self._settings.precision])

    def _unshared(self, *, last: bool) -> Any:
        """Gradients are averaged over processes once a step, with its last batch."""
        if self._world.size == 1 or last:
            return nullcontext()
        return cast(Any, self._loss).no_sync()


@contextmanager
def _memory_errors(device: torch.device) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ForgeError(
            "a batch of one picture is too small for the normalisation layers of this network.",
            mend="--batch 2 or more",
        ) from error
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU has none of its own
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in text:
            raise
        raise ForgeError(
            f"the memory of {device} is used up.",
            mend="halve --batch and double [loop] accumulate, which gives the same steps; or "
            "lower --size, or use --precision bf16",
        ) from error
