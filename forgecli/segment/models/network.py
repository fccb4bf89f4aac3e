"""What every network takes and gives."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from forgecli.segment.batch import Batch

Criterion = Callable[[Tensor, Tensor], Tensor]
"""A loss: logits and truth, both (N, 1, H, W), to a scalar. See `forgecli.segment.losses`."""


class Network(nn.Module):
    """A network that finds copied regions. It normalises its input by itself.

    `forward` takes float (N, channels, H, W) from 0 to 1, H and W multiples of `multiple` (and
    equal to `size` where that is set), and gives logits (N, outputs, H, W).

    Attributes:
        channels: of the input: 3 for RGB, 6 with error-level analysis.
        multiple: see above, in pixels.
        size: (H, W) for a network that takes one size only, None for all others.
        outputs: channels of the output: 1 for all instances together, more for one each; channels
            without an instance are far below 0.
    """

    channels: int = 3
    multiple: int = 32
    size: tuple[int, int] | None = None
    outputs: int = 1

    def loss(self, batch: Batch, criterion: Criterion) -> Tensor:
        """The scalar to minimise. Networks with a loss of their own do not use `criterion`."""
        return criterion(self(batch.images).float(), batch.masks)
