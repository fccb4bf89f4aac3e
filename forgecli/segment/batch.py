"""What a training step takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Batch:
    """Crops with their truth.

    Attributes:
        images: float32 (N, C, H, W), 0 to 1.
        masks: float32 (N, 1, H, W), 0 or 1: the union of the instances.
        instances: for each crop, uint8 0/1 (n, H, W), those that have a pixel in it.
        case_ids: where the crops come from.
    """

    images: Tensor
    masks: Tensor
    instances: list[Tensor]
    case_ids: list[str]

    def to(self, device: torch.device, *, channels_last: bool = False) -> Batch:
        """The batch on a device; copies overlap with work where the memory is pinned."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return Batch(
            self.images.to(device, non_blocking=True, memory_format=layout),
            self.masks.to(device, non_blocking=True),
            [instances.to(device, non_blocking=True) for instances in self.instances],
            self.case_ids,
        )

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU can read by itself. The data loader calls this."""
        return Batch(
            self.images.pin_memory(),
            self.masks.pin_memory(),
            [instances.pin_memory() for instances in self.instances],
            self.case_ids,
        )
