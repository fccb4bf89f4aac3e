"""One execution context: a batch at a time, with memory of its own."""

from __future__ import annotations

from typing import Any

from engines.tensorrt_build import INPUT, OUTPUT
from engines.tensorrt_gpu import Gpu, Graph
from engines.tensorrt_library import failure
from engines.tensorrt_loaded import Loaded, Shape
from kernels.cuda.device import Buffer

ALIGNED = 256
"""Bytes that addresses are to be a multiple of."""

GRAPHS = 16
"""CUDA graphs that a lane holds; what comes from more places is done without one."""


class Lane:
    """A context of an engine. Has not run on a GPU.

    The library's working memory is a block that the lane allocates, as large as the shapes need
    and no more than once per growth: the weights are shared by all lanes.

    TensorRT for RTX compiles its kernels on the GPU that runs them. It is told to do that when it
    first sees a shape, not beside the work: results would otherwise change in their last digits
    when the compiled kernel takes over.

    Args:
        loaded: the engine.
        gpu: it is on, and current.
        graphs: record what is done a second time with equal shapes and addresses as a CUDA graph,
            and from then on replay that. TensorRT for RTX has graphs of its own, which are used.

    Raises:
        TensorRtError: the library makes no context.
    """

    def __init__(self, loaded: Loaded, gpu: Gpu, *, graphs: bool) -> None:
        self._loaded = loaded
        self._gpu = gpu
        self._captures = graphs and loaded.library.flavor == "tensorrt"
        self._context: Any = _context(loaded, graphs)
        self._profile = int(self._context.active_optimization_profile)
        self._shape: Shape | None = None
        self._addresses: tuple[int, int] | None = None
        self._block: Buffer | None = None
        self._former: list[Buffer] = []  # work may still use them, and so do graphs
        self._seen: set[tuple[int, int]] = set()
        self._graphs: dict[tuple[int, int], Graph] = {}

    def enqueue(self, images: int, logits: int, shape: Shape, stream: int) -> None:
        """As `LaneEngine.enqueue`, while the GPU is current."""
        if images % ALIGNED or logits % ALIGNED or not images or not logits:
            raise ValueError(f"addresses are multiples of {ALIGNED}. Got: {images:#x}, {logits:#x}")
        self._loaded.said.errors.clear()
        profile = self._loaded.profile_for(shape, self._profile)
        if shape != self._shape or profile != self._profile:
            self._reshape(shape, profile, stream)
        place = (images, logits)
        if place in self._graphs:
            self._graphs[place].launch(stream)
            return
        if place != self._addresses:
            self._addresses = None
            self._done(self._context.set_tensor_address(INPUT, images), "an address is refused")
            self._done(self._context.set_tensor_address(OUTPUT, logits), "an address is refused")
            self._addresses = place
        # The first time is without a graph: then the library prepares what a shape needs.
        if self._captures and place in self._seen and len(self._graphs) < GRAPHS:
            self._graphs[place] = self._captured(stream)
            self._graphs[place].launch(stream)
            return
        self._seen.add(place)
        self._execute(stream)

    def close(self) -> None:
        """Free it. What it was given must be over."""
        self._graphs.clear()
        self._context = None
        self._block = None
        self._former.clear()

    def _reshape(self, shape: Shape, profile: int, stream: int) -> None:
        # A graph holds what the context held when it was captured, which now changes.
        self._graphs.clear()
        self._seen.clear()
        self._shape = None  # until all of it is done
        context = self._context
        if profile != self._profile:
            self._done(
                context.set_optimization_profile_async(profile, stream), "a profile is refused"
            )
            self._profile = profile
            self._addresses = None
        self._done(context.set_input_shape(INPUT, shape), "a shape is refused")
        expected = (shape[0], self._loaded.spec.outputs, *shape[2:])
        given = tuple(context.get_tensor_shape(OUTPUT))
        if given != expected:
            raise ValueError(f"the engine gives {given} for images of {shape}, not {expected}")
        self._grow(int(context.update_device_memory_size_for_shapes()))
        assert self._block is not None
        context.set_device_memory(self._block.pointer, self._block.size)
        self._shape = shape

    def _grow(self, size: int) -> None:
        """Have a block of at least so many bytes. At least twice the last, so that few remain."""
        if self._block is not None and self._block.size >= size:
            return
        if self._block is not None:
            most = int(self._loaded.engine.get_device_memory_size_for_profile_v2(self._profile))
            size = max(size, min(2 * self._block.size, most))
        block = self._gpu.memory.allocate(size)
        if self._block is not None:
            self._former.append(self._block)
        self._block = block

    def _captured(self, stream: int) -> Graph:
        try:
            return self._gpu.capture(stream, lambda: self._execute(stream))
        except RuntimeError as error:
            raise failure(
                f"this engine cannot be captured as a CUDA graph ({error})",
                self._loaded.said,
                "run it without graphs",
            ) from error

    def _execute(self, stream: int) -> None:
        self._done(self._context.execute_async_v3(stream), "the engine does not run")

    def _done(self, success: bool, doing: str) -> None:
        if not success:
            raise failure(doing, self._loaded.said)


def _context(loaded: Loaded, graphs: bool) -> Any:
    trt, engine = loaded.library.module, loaded.engine
    ours = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    if loaded.library.flavor == "rtx":
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(ours)
        compiling = trt.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = compiling.EAGER
        if graphs:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        context = engine.create_execution_context(config)
    else:
        context = engine.create_execution_context(ours)
    if context is None:
        raise failure("no more batches can be at work at once", loaded.said, "take fewer lanes")
    return context
