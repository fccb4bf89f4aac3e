"""A PyTorch network whose input and output stay on the GPU.

This has not run on a GPU. On the CPU, where the tests run it, an address is one of the host's, and
there is one stream, 0, whose work is over when `enqueue` returns.
"""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from engines.base import LaneEngine, Precision
from engines.torch_forward import Forward, Mixed, check_precision, halve_weights, spec_of_network

Shape = tuple[int, int, int, int]


class TorchLanes(LaneEngine):
    """Runs a network on streams of the caller's. Satisfies `engines.base.LaneEngine`.

    The weights are there once. PyTorch's memory for activations is kept for each stream, so a lane
    should always come with the same one.

    Args:
        network: as for `engines.torch.TorchEngine`; it is the engine's own from now on.
        device: ``cuda:0``; ``cpu`` for tests.
        lanes: how many batches may be at work at once.
        largest: images of a batch, at most.
        precision: of the arithmetic; not ``int8``.
        compile: make kernels with `torch.compile`, for all sizes at once. GPU only.

    Raises:
        RuntimeError: there is no such device.
        ValueError: a precision, a device or a number that cannot be.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str = "cuda:0",
        lanes: int = 1,
        largest: int = 8,
        precision: Precision = "fp32",
        compile: bool = False,
    ) -> None:
        check_precision(precision)
        if lanes < 1 or largest < 1:
            raise ValueError(f"there is 1 lane or more, of 1 image or more. Got: {lanes, largest}")
        self._device = torch.device(device)
        if self._device.type not in ("cuda", "cpu") or (compile and self._device.type == "cpu"):
            raise ValueError(f"lanes are for NVIDIA GPUs. Got: {device}")
        self.spec = spec_of_network(network, device, precision)
        self.lanes, self.smallest, self.largest = lanes, 1, largest
        placed = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        height, width = self.spec.size or (self.spec.multiple * 2,) * 2
        example = torch.zeros(1, self.spec.channels, height, width, device=self._device)
        halve_weights(placed, example, precision)
        passed: Forward = torch.compile(placed, dynamic=True) if compile else placed
        self._pass: Forward | None = Mixed(passed, self._device, precision)
        if self._device.type == "cuda":  # the lanes' streams do not wait for the one used here
            torch.cuda.synchronize(self._device)

    def trim(self) -> None:
        """See `LaneEngine.trim`."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def enqueue(self, lane: int, images: int, logits: int, shape: Shape, stream: int) -> None:
        """See `LaneEngine.enqueue`. What the network allocates is the stream's until it is done."""
        if self._pass is None:
            raise ValueError("the engine is closed")
        self._check(lane, shape)
        with self._on(stream), torch.inference_mode():
            found = self._pass(self._tensor(images, shape))
            expected = (shape[0], self.spec.outputs, *shape[2:])
            if tuple(found.shape) != expected:
                raise ValueError(f"the network gave {tuple(found.shape)}, not {expected}")
            self._tensor(logits, expected).copy_(found)

    def close(self) -> None:
        """Forget the network."""
        self._pass = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _check(self, lane: int, shape: Shape) -> None:
        if not 0 <= lane < self.lanes:
            raise ValueError(f"there are {self.lanes} lanes, counted from 0. Got: {lane}")
        count, channels, height, width = shape
        spec = self.spec
        fits = height > 0 and width > 0 and not height % spec.multiple and not width % spec.multiple
        if spec.size is not None:
            fits = (height, width) == spec.size
        if not fits or channels != spec.channels or not 1 <= count <= self.largest:
            sides = spec.size or f"multiples of {spec.multiple}"
            raise ValueError(
                f"a batch is 1 to {self.largest} images of {spec.channels} channels, H and W "
                f"{sides}. Got: {shape}"
            )

    def _on(self, stream: int) -> AbstractContextManager[object]:
        if self._device.type == "cpu":
            return nullcontext()
        return torch.cuda.stream(torch.cuda.ExternalStream(stream, device=self._device))  # type: ignore[no-untyped-call]

    def _tensor(self, address: int, shape: Shape) -> Tensor:
        """float32 memory of the device as a tensor; nothing is copied."""
        if self._device.type == "cpu":
            size = 4 * shape[0] * shape[1] * shape[2] * shape[3]
            memory = (ctypes.c_char * size).from_address(address)
            return torch.frombuffer(memory, dtype=torch.float32).view(shape)
        return torch.as_tensor(_Foreign(address, shape), device=self._device)


class _Foreign:
    """Memory of a GPU as others describe it: the CUDA array interface, version 3, of Numba."""

    def __init__(self, address: int, shape: Shape) -> None:
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "<f4",
            "data": (address, False),
            "strides": None,  # C-contiguous
            "stream": None,  # nothing to wait for: it is the stream's own work
            "version": 3,
        }
