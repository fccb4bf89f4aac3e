"""TensorRT: engine files on NVIDIA GPUs, with the data-centre library or that for RTX.

Neither class has run on a GPU. Their logic is tested with a stand-in for the library, and
tests/gpu/test_tensorrt.py holds the checks that a GPU has to pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, Images, LaneEngine, Logits, Spec
from engines.tensorrt_gpu import CupyGpu, Gpu
from engines.tensorrt_lane import Lane
from engines.tensorrt_library import Flavor, Library
from engines.tensorrt_loaded import Loaded, Profile
from kernels.cuda.device import Buffer


class TensorRtLanes(LaneEngine):
    """An engine with several batches at work at once: an execution context for each lane.

    Weights are loaded once. Each lane has its own working memory, see `Lane`.

    Args:
        plan: the ``.engine`` file, or its bytes.
        spec: of the network; `device` is replaced.
        lanes: how many.
        device: as torch names it: ``cuda:0``.
        graphs: replay equal work as CUDA graphs.
        flavor: which TensorRT the plan is of; ``auto`` looks at the plan.
        gpu: instead of `device`, for tests.
        library: instead of `flavor`, for tests.

    Attributes:
        smallest: images of a batch, at least.
        largest: images of a batch, at most.
        profiles: the shapes that it takes.

    Raises:
        ImportError: TensorRT or CuPy is not installed; the message names the extra.
        RuntimeError: there is no such GPU, or the engine cannot be loaded, and why; a
            `TensorRtError` where TensorRT says it.
        ValueError: it is an engine of another network, or `lanes` is less than 1.
    """

    def __init__(
        self,
        plan: Path | bytes,
        spec: Spec,
        *,
        lanes: int,
        device: str = "cuda:0",
        graphs: bool = False,
        flavor: Flavor | Literal["auto"] = "auto",
        gpu: Gpu | None = None,
        library: Library | None = None,
    ) -> None:
        if lanes < 1:
            raise ValueError(f"there is at least one lane. Got: {lanes}")
        self._gpu = CupyGpu(device) if gpu is None else gpu
        with self._gpu.current():
            self._loaded = Loaded(plan, spec, device=device, given=library, flavor=flavor)
            self._lanes = [Lane(self._loaded, self._gpu, graphs=graphs) for _ in range(lanes)]
        self.lanes = lanes
        self.spec = self._loaded.spec
        self.profiles: tuple[Profile, ...] = self._loaded.profiles
        self.smallest = min(profile.least[0] for profile in self.profiles)
        self.largest = max(profile.most[0] for profile in self.profiles)

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        """See `LaneEngine.enqueue`. Addresses are multiples of 256.

        A new shape costs the host some time, and where it needs more memory than those before, an
        allocation; with TensorRT for RTX its kernels are then compiled.

        Raises:
            MemoryError: the GPU has not enough for this shape.
        """
        if not 0 <= lane < len(self._lanes):
            raise ValueError(f"there are {len(self._lanes)} lanes, from 0. Got: {lane}")
        with self._gpu.current():
            self._lanes[lane].enqueue(images, logits, shape, stream)

    def batches(self, height: int, width: int) -> tuple[int, int]:
        """How many images of a size it takes at once: at least, at most.

        Raises:
            ValueError: none.
        """
        return self._loaded.batches(self.spec.channels, height, width)

    def trim(self) -> None:
        """See `LaneEngine.trim`. A lane keeps its block: with it, it can go on."""

    def close(self) -> None:
        """Wait for what is under way, and free all of it."""
        with self._gpu.current():
            self._gpu.memory.synchronize()
            for lane in self._lanes:
                lane.close()
            self._lanes.clear()
            self._loaded.close()


class TensorRtEngine(Engine):
    """An engine that takes and gives arrays of the host.

    Batches of more images than the engine takes are cut, and a batch of fewer is filled up with
    black images, whose logits are dropped.

    Args:
        plan: see `TensorRtLanes`, also for the rest and for what is raised.
        spec: see there.
        device: see there.
        graphs: see there.
        flavor: see there.
        gpu: see there.
        library: see there.
    """

    def __init__(
        self,
        plan: Path | bytes,
        spec: Spec,
        *,
        device: str = "cuda:0",
        graphs: bool = False,
        flavor: Flavor | Literal["auto"] = "auto",
        gpu: Gpu | None = None,
        library: Library | None = None,
    ) -> None:
        self._gpu = CupyGpu(device) if gpu is None else gpu
        self._lanes = TensorRtLanes(
            plan, spec, lanes=1, device=device, graphs=graphs, flavor=flavor,
            gpu=self._gpu, library=library,
        )  # fmt: skip
        self.spec = self._lanes.spec
        memory = self._gpu.memory
        self._stream = memory.stream()
        self._images, self._logits = memory.allocate(0), memory.allocate(0)
        self._host: NDArray[np.uint8] = memory.pinned(0)

    def _infer(self, images: Images) -> Logits:
        count, channels, height, width = images.shape
        least, most = self._lanes.batches(height, width)
        logits = np.empty((count, self.spec.outputs, height, width), np.float32)
        for start in range(0, count, most):
            taken = images[start : start + most]
            size = max(least, len(taken))
            logits[start : start + most] = self._run(taken, (size, channels, height, width))
        return logits

    def _run(self, images: Images, shape: tuple[int, int, int, int]) -> Logits:
        """The logits of some images, in a batch of that shape."""
        size, _, height, width = shape
        given = (size, self.spec.outputs, height, width)
        sent, got = 4 * int(np.prod(shape)), 4 * int(np.prod(given))
        memory, stream = self._gpu.memory, self._stream
        self._images = _at_least(self._images, sent, self._gpu)
        self._logits = _at_least(self._logits, got, self._gpu)
        if self._host.nbytes < max(sent, got):
            self._host = memory.pinned(max(sent, got))
        batch = self._host[:sent].view(np.float32).reshape(shape)
        batch[: len(images)] = images
        batch[len(images) :] = 0
        memory.upload(batch, self._images, stream)
        self._lanes.enqueue(0, self._images.pointer, self._logits.pointer, shape, stream.handle)
        result = self._host[:got].view(np.float32).reshape(given)
        memory.download(self._logits, result, stream)
        memory.event(stream).wait()
        return result[: len(images)].copy()

    def warmup(self) -> None:
        """Run once on zeros of the shape that the engine was optimised for."""
        self.infer(np.zeros(self._lanes.profiles[0].best, np.float32))

    def close(self) -> None:
        """Free the GPU's memory."""
        self._lanes.close()


def _at_least(buffer: Buffer, size: int, gpu: Gpu) -> Buffer:
    return buffer if buffer.size >= size else gpu.memory.allocate(size)
