"""What stands for TensorRT's runtime and a GPU, with the names of the real ones.

An "engine" adds up the channels: logit k of a pixel is (k + 1) x their sum. A context insists on
what the library insists on (a profile, a shape within it, addresses, enough working memory) and
writes rubbish into all of its working memory, so that what shares memory by mistake shows.
"""

from __future__ import annotations

import ctypes
import enum
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

from engines.tensorrt_library import Library
from tests.kernels.cuda.host import HostDevice

Shape = tuple[int, ...]
Bounds = tuple[Shape, Shape, Shape]


def plan(
    *profiles: Bounds, outputs: int = 1, names: Sequence[str] = ("images", "logits"), **more: Any
) -> bytes:
    """What the stand-in for a runtime loads. `profiles`: least, best, most (N, C, H, W)."""
    return json.dumps(
        {"profiles": profiles, "outputs": outputs, "names": list(names), **more}
    ).encode()


class FakeGpu:
    """Satisfies `engines.tensorrt_gpu.Gpu`."""

    def __init__(self) -> None:
        self.memory = HostDevice()
        self.entered = 0
        self.recording: list[Callable[[], None]] | None = None
        self.captures = 0

    def current(self) -> AbstractContextManager[object]:
        self.entered += 1
        return nullcontext()

    def capture(self, stream: int, work: Callable[[], None]) -> FakeGraph:
        self.recording = []
        try:
            work()
            self.captures += 1
            return FakeGraph(self.recording)
        finally:
            self.recording = None


class FakeGraph:
    def __init__(self, recorded: list[Callable[[], None]]) -> None:
        self.recorded = recorded
        self.launches: list[int] = []

    def launch(self, stream: int) -> None:
        self.launches.append(stream)
        for work in self.recorded:
            work()


class FakeContext:
    def __init__(self, engine: FakeEngine, strategy: str, config: Any) -> None:
        self.engine, self.strategy, self.config = engine, strategy, config
        self.active_optimization_profile = 0
        self.shape: Shape | None = None
        self.addresses: dict[str, int] = {}
        self.block: tuple[int, int] | None = None
        self.calls: list[tuple[Any, ...]] = []

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.calls.append(("profile", index, stream))
        self.active_optimization_profile = index
        self.shape = None
        return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        self.calls.append(("shape", shape))
        least, _, most = self.engine.profiles[self.active_optimization_profile]
        if not all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True)):
            self.engine.log.log(
                FakeSeverity.ERROR,
                "IExecutionContext::setInputShape: Error Code 3: API Usage Error (Supplied shape "
                "does not satisfy any optimization profiles. In f at /_src/a.cpp:1)",
            )
            return False
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> Shape:
        assert self.shape is not None
        if name == "images":
            return self.shape
        return (self.shape[0], self.engine.outputs, *self.shape[2:])

    def update_device_memory_size_for_shapes(self) -> int:
        assert self.shape is not None
        return int(np.prod(self.shape))

    def set_device_memory(self, pointer: int, size: int) -> None:
        self.calls.append(("memory", pointer, size))
        self.block = (pointer, size)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.calls.append(("address", name, address))
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.calls.append(("execute", stream))
        engine, shape = self.engine, self.shape
        if engine.fails:
            engine.log.log(FakeSeverity.ERROR, engine.fails)
            return False
        assert shape is not None and self.block is not None
        assert self.block[1] >= self.update_device_memory_size_for_shapes()
        block, addresses = self.block, dict(self.addresses)

        def work() -> None:
            assert self.shape == shape, "a graph of another shape is replayed"
            images = at(addresses["images"], shape)
            ctypes.memset(block[0], 0xEE, block[1])
            logits = at(addresses["logits"], (shape[0], engine.outputs, *shape[2:]))
            total = images.sum(1)
            for k in range(engine.outputs):
                logits[:, k] = (k + 1) * total

        if engine.gpu.recording is not None:
            if engine.uncapturable:
                raise RuntimeError("cudaErrorStreamCaptureUnsupported")
            engine.gpu.recording.append(work)
        else:
            work()
        return True


class FakeSeverity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class FakeLogger:
    Severity = FakeSeverity

    def __init__(self) -> None:
        pass


class FakeEngine:
    def __init__(self, told: dict[str, Any], log: Any, gpu: FakeGpu) -> None:
        self.profiles = [tuple(tuple(s) for s in p) for p in told["profiles"]]
        self.outputs: int = told["outputs"]
        self.names: list[str] = told["names"]
        self.half: bool = told.get("half", False)
        self.fails: str = told.get("fails", "")
        self.uncapturable: bool = told.get("uncapturable", False)
        self.most_contexts: int = told.get("most_contexts", 99)
        self.log, self.gpu = log, gpu
        self.contexts: list[FakeContext] = []
        self.num_io_tensors = len(self.names)
        self.num_optimization_profiles = len(self.profiles)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> str:
        return "INPUT" if name == "images" else "OUTPUT"

    def get_tensor_dtype(self, name: str) -> str:
        return "HALF" if self.half else "FLOAT"

    def get_tensor_shape(self, name: str) -> Shape:
        return (-1, self.profiles[0][0][1] if name == "images" else self.outputs, -1, -1)

    def get_tensor_profile_shape(self, name: str, index: int) -> Bounds:
        return self.profiles[index]  # type: ignore[return-value]

    def get_device_memory_size_for_profile_v2(self, index: int) -> int:
        return int(np.prod(self.profiles[index][2]))

    def create_runtime_config(self) -> FakeConfig:
        return FakeConfig()

    def create_execution_context(self, given: Any = "STATIC") -> FakeContext | None:
        if len(self.contexts) == self.most_contexts:
            self.log.log(FakeSeverity.ERROR, "Error Code 2: OutOfMemory (out of memory)")
            return None
        config = given if isinstance(given, FakeConfig) else None
        self.contexts.append(FakeContext(self, config.strategy if config else given, config))
        return self.contexts[-1]


class FakeConfig:
    strategy = "STATIC"
    cuda_graph_strategy = "DISABLED"
    dynamic_shapes_kernel_specialization_strategy = "LAZY"

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.strategy = strategy


def fake_library(gpu: FakeGpu, flavor: Any = "tensorrt", *, invalid: int = 0,
                 says: str = "") -> Library:  # fmt: skip
    """A library whose engines run on `gpu`. With `invalid` or `says`, it loads none."""
    engines: list[FakeEngine] = []

    class Runtime:
        def __init__(self, log: Any) -> None:
            self.log = log

        def deserialize_cuda_engine(self, data: bytes) -> FakeEngine | None:
            if says:
                self.log.log(FakeSeverity.ERROR, says)
            if says or invalid:
                return None
            engines.append(FakeEngine(json.loads(data), self.log, gpu))
            return engines[-1]

        def get_engine_validity(self, data: bytes) -> tuple[int, int]:
            return 2, invalid

    module = SimpleNamespace(
        ILogger=FakeLogger,
        Runtime=Runtime,
        TensorIOMode=SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT"),
        DataType=SimpleNamespace(FLOAT="FLOAT"),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="USER_MANAGED"),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="EAGER"),
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="WHOLE_GRAPH_CAPTURE"),
        EngineInvalidityDiagnostics=SimpleNamespace(
            VERSION_MISMATCH=1, UNSUPPORTED_CC=2, OLD_CUDA_DRIVER=4, OLD_CUDA_RUNTIME=8,
            INSUFFICIENT_GPU_MEMORY=16, MALFORMED_ENGINE=32, CUDA_ERROR=64,
        ),
        engines=engines,
    )  # fmt: skip
    return Library(flavor, module, "11.0.0")


def at(address: int, shape: Shape) -> Any:
    """The float32 array at an address of the host."""
    size = int(np.prod(shape))
    memory = (ctypes.c_float * size).from_address(address)
    return np.frombuffer(memory, np.float32).reshape(shape)
