"""CUDA graphs: a forward pass recorded once for each shape and replayed with one launch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.torch_forward import Forward

MOST = 8
"""Shapes whose graphs are kept; each holds the memory of all its activations."""

_WARM = 3
"""Passes before a recording: libraries choose algorithms and allocate in the first ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A recorded pass: fill `images`, call `replay`, and the logits are in `logits`."""

    images: Tensor
    logits: Tensor
    replay: Callable[[], None]


Record = Callable[[Forward, Tensor], Recorded]


def record(forward: Forward, images: Tensor) -> Recorded:
    """Record a pass on a GPU. This has not run on one.

    Args:
        forward: the pass; it must not wait for the GPU, nor allocate on the host what it copies.
        images: of the shape to record, on the GPU.
    """
    with torch.cuda.device(images.device):
        still = images.clone(memory_format=torch.channels_last)
        stream = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM):
                forward(still)
        torch.cuda.current_stream(images.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            logits = forward(still)
    return Recorded(still, logits, graph.replay)


class Graphs:
    """A forward pass that is recorded at the first batch of a shape.

    The shapes used last are kept. Logits are valid until the next batch of the same shape.

    Args:
        forward: the pass.
        most: shapes that are kept.
        record: records one; instead of `record` for tests without a GPU.
    """

    def __init__(self, forward: Forward, *, most: int = MOST, record: Record = record) -> None:
        self._forward = forward
        self._most = most
        self._record = record
        self._kept: OrderedDict[torch.Size, Recorded] = OrderedDict()

    def __call__(self, images: Tensor) -> Tensor:
        """The logits of a batch."""
        found = self._kept.get(images.shape)
        if found is None:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            found = self._kept[images.shape] = self._record(self._forward, images)
        self._kept.move_to_end(images.shape)
        found.images.copy_(images)
        found.replay()
        return found.logits

    def clear(self) -> None:
        """Forget all recordings and their memory."""
        self._kept.clear()
