"""The GPU and the network on it."""

from __future__ import annotations

from typing import cast

from forgecli.segment.checkpoint import read_card
from forgecli.segment.opening import flavor_of
from forgecli.segment.plan import SegmentPlan
from forgecli.stream.pool import Opened
from kernels.cuda.device import Device


def open_lanes(plan: SegmentPlan, lanes: int) -> Opened:
    """The GPU and the network on it. This has not run on a GPU.

    Args:
        plan: of the network.
        lanes: batches that may be at work at the same time.

    Raises:
        UsageError: a file or an extra is missing.
        ForgeError: the file is damaged.
        ImportError: CuPy or TensorRT is missing.
        RuntimeError: the GPU does not take the network.
        MemoryError: it has not enough memory.
    """
    from kernels.cuda.cupy_device import CupyDevice

    device = cast(Device, CupyDevice(device_number(plan.device)))
    if plan.engine == "tensorrt":
        from engines.tensorrt import TensorRtLanes

        if plan.spec is None:
            raise ValueError("an engine file without a word on what it takes")
        loaded = TensorRtLanes(
            plan.weights,
            plan.spec,
            lanes=lanes,
            device=plan.device,
            graphs=plan.graphs,
            flavor=flavor_of(read_card(plan.weights)),
        )
        return Opened(device, loaded)
    from engines.torch_lanes import TorchLanes
    from forgecli.segment.checkpoint import load_checkpoint

    network, _ = load_checkpoint(plan.weights)
    engine = TorchLanes(
        network,
        device=plan.device,
        lanes=lanes,
        largest=plan.batch,
        precision=plan.precision,
        compile=plan.compile,
    )
    return Opened(device, engine)


def device_number(device: str) -> int:
    """The number of a GPU as torch names it: 0 of ``cuda:0`` and of ``cuda``."""
    return int(device.partition(":")[2] or 0)
