"""The real TensorRT for RTX builds FP16 engines of every system, on a machine with no GPU."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("torch", reason="torch is not installed")

import onnx
import torch

from engines.tensorrt_build import BuildOptions, Size, build_engine
from tests.engines.exported import EXPORTABLE, exported

QUICK = ("simple-cnn", "dual-stream")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def shapes(data: bytes, multiple: int) -> tuple[tuple[int, int, int], tuple[Size, Size, Size]]:
    """Several sizes and batches, unless the file fixes them."""
    taken = onnx.load_from_string(data).graph.input[0].type.tensor_type.shape.dim
    count, _, height, width = (side.dim_value for side in taken)
    batch = (count,) * 3 if count else (1, 1, 2)
    heights = (height,) * 3 if height else (multiple, 2 * multiple, 2 * multiple)
    widths = (width,) * 3 if width else (multiple, 2 * multiple, 3 * multiple)
    least, best, most = zip(heights, widths, strict=True)
    return (batch[0], batch[1], batch[2]), (least, best, most)


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EXPORTABLE],
)
def test_every_system_becomes_an_engine_in_half_precision(name: str) -> None:
    network, data = exported(name, half=True)
    batch, size = shapes(data, network.multiple)
    built = build_engine(data, BuildOptions(batch, size, "fp16", "rtx", (89,)))
    facts = built.facts
    assert facts["profile"] == {"batch": list(batch), "size": [list(hw) for hw in size]}
    channels, outputs = facts["inputs"][0]["shape"][1], facts["outputs"][0]["shape"][1]
    assert (channels, outputs) == (network.channels, network.outputs)
    assert facts["inputs"][0]["dtype"] == facts["outputs"][0]["dtype"] == "float32"
    products = [line for line in built.layers.splitlines()
                if "  convolution  " in line or "  deconvolution  " in line]  # fmt: skip
    assert sum("  half " in line for line in products) > len(products) / 2
    beside = 4_000_000 + 2_000 * len(built.layers.splitlines())
    assert facts["plan_bytes"] < 1.5 * len(data) + beside, "weights are not made float32 again"
