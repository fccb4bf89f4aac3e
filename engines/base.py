"""What every engine takes and gives: pictures as arrays in, logits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
"""float32 (N, C, H, W), 0 to 1: RGB, and three more channels where `Spec.channels` is 6."""

Logits = NDArray[np.float32]
"""float32 (N, K, H, W): log-odds that a pixel belongs to a copied region. K is `Spec.outputs`."""

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""Of the arithmetic. ``int8``: weights and activations of convolutions are quantised, the rest is
float32."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What an engine accepts and where it runs. Normalisation is part of the network.

    Attributes:
        channels: of the input: 3, or 6 with error-level analysis.
        multiple: H and W have to be multiples of this, in pixels.
        size: H and W if the engine takes this one size only; None if it takes any.
        outputs: channels of the output: 1 for all instances together, more for one each.
        device: where it runs, as torch names devices: ``cpu``, ``cuda:0``, ``mps``.
        precision: of the arithmetic. Input and output are float32 whatever it is.
    """

    channels: int = 3
    multiple: int = 32
    size: tuple[int, int] | None = None
    outputs: int = 1
    device: str = "cpu"
    precision: Precision = "fp32"


class LaneEngine(Protocol):
    """An engine whose input and output stay on the GPU, with several batches at work at once.

    Attributes:
        spec: of the network.
        lanes: how many batches may be at work at the same time; each uses a lane of its own.
        smallest: images of a batch, at least.
        largest: images of a batch, at most.
    """

    spec: Spec
    lanes: int
    smallest: int
    largest: int

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        """Compute the logits of a batch. Returns before it is done; it is part of the stream.

        Args:
            lane: from 0; what it was given before must be over, or be in the same stream.
            images: address on the device of float32 (N, C, H, W), C-contiguous, as `Images`.
            logits: address of float32 (N, `spec.outputs`, H, W), which is filled.
            shape: (N, C, H, W), as `spec` allows, N from `smallest` to `largest`.
            stream: ``cudaStream_t``.

        Raises:
            ValueError: a shape or a lane that there is not.
            RuntimeError: the library refused the work; the message says why.
        """

    def trim(self) -> None:
        """Give memory that is not in use back to the system. No batch is under way."""

    def close(self) -> None:
        """Give back what the engine holds. It is not used afterwards."""


class Engine(ABC):
    """Runs one network. `infer` checks what goes in and out, `_infer` computes."""

    spec: Spec

    def infer(self, images: Images) -> Logits:
        """Logits of a batch, C-contiguous.

        Raises:
            ValueError: not float32 (N, C, H, W) of a size that `spec` allows, or N is 0.
        """
        self._check(images)
        logits = self._infer(np.ascontiguousarray(images))
        expected = (images.shape[0], self.spec.outputs, *images.shape[2:])
        if logits.shape != expected or logits.dtype != np.float32:
            raise ValueError(f"logits are to be float32 {expected}. Got: {_shown(logits)}")
        return logits

    def warmup(self) -> None:
        """Run once on zeros, so that the first picture costs what the others do."""
        height, width = self.spec.size or (self.spec.multiple * 2, self.spec.multiple * 2)
        self.infer(np.zeros((1, self.spec.channels, height, width), np.float32))

    def close(self) -> None:  # noqa: B027 - most engines hold nothing that Python does not free
        """Give back what the engine holds. It is not used afterwards."""

    @abstractmethod
    def _infer(self, images: Images) -> Logits:
        """The logits of a batch that has been checked."""

    def _check(self, images: Images) -> None:
        spec = self.spec
        good = images.ndim == 4 and images.dtype == np.float32 and images.shape[0] > 0
        if not good or images.shape[1] != spec.channels:
            raise ValueError(f"images are to be float32 (N, {spec.channels}, H, W). "
                             f"Got: {_shown(images)}")  # fmt: skip
        height, width = images.shape[2:]
        if spec.size is not None and (height, width) != spec.size:
            raise ValueError(f"this engine takes images of {spec.size} only. Got: {height, width}")
        if height % spec.multiple or width % spec.multiple or not height or not width:
            raise ValueError(f"H and W are to be multiples of {spec.multiple}. "
                             f"Got: {height, width}")  # fmt: skip


def _shown(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} {array.shape}"
