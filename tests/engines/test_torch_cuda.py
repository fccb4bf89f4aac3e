"""The same engine on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.torch import TorchEngine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


class Wide(nn.Module):
    """Two convolutions whose activations take `width` x 4 bytes per pixel."""

    channels, multiple, size, outputs = 3, 32, None, 1

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


def images(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, side, side), np.float32)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 2e-3), ("fp16", 1e-2), ("bf16", 5e-2)]
)
def test_it_agrees_with_the_cpu(precision: str, tolerance: float) -> None:
    expected = TorchEngine(Wide().eval()).infer(images(2, 64))
    engine = TorchEngine(Wide().eval(), device="cuda:0", precision=precision)  # type: ignore[arg-type]
    np.testing.assert_allclose(engine.infer(images(2, 64)), expected, atol=tolerance)


def test_a_full_gpu_halves_the_batch() -> None:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    said: list[str] = []
    network = Wide(64).eval()
    batch = images(16, 512)  # 64 channels of float32: 1 GiB for each layer's output
    expected = TorchEngine(network, device="cuda:0").infer(batch)
    try:
        torch.cuda.set_per_process_memory_fraction(min(1.0, 1.2 * 2**30 / total), 0)
        torch.cuda.empty_cache()
        found = TorchEngine(network, device="cuda:0", note=said.append).infer(batch)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)
    assert said and "images at once" in said[0]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_there_is_no_such_device() -> None:
    with pytest.raises(RuntimeError):
        TorchEngine(Wide(), device="cuda:99")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_graphs_give_what_single_launches_give(precision: str) -> None:
    one = TorchEngine(Wide().eval(), device="cuda:0", precision=precision)  # type: ignore[arg-type]
    graphs = TorchEngine(Wide().eval(), device="cuda:0", precision=precision, own=True, graphs=True)  # type: ignore[arg-type]
    for count, side in ((2, 64), (1, 96), (2, 64), (3, 64)):
        batch = images(count, side) * count
        np.testing.assert_allclose(graphs.infer(batch), one.infer(batch), atol=1e-3)


def test_a_compiled_network_gives_the_same_at_all_sizes() -> None:
    one = TorchEngine(Wide().eval(), device="cuda:0")
    compiled = TorchEngine(Wide().eval(), device="cuda:0", compile=True)
    for count, side in ((2, 64), (1, 96), (3, 32)):
        batch = images(count, side)
        np.testing.assert_allclose(compiled.infer(batch), one.infer(batch), atol=2e-3)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_lanes_on_streams_of_others(precision: str) -> None:
    """Two lanes at work at once, on streams and in memory that PyTorch does not know."""
    from engines.torch_lanes import TorchLanes
    from kernels.cuda.cupy_device import CupyDevice

    pytest.importorskip("cupy")
    device = CupyDevice(0)
    lanes = TorchLanes(
        Wide().eval(), device="cuda:0", lanes=2, largest=4, precision=precision,  # type: ignore[arg-type]
    )  # fmt: skip
    one = TorchEngine(Wide().eval(), device="cuda:0", precision=precision)  # type: ignore[arg-type]
    work = []
    for lane in (0, 1, 0, 1):
        batch = images(2 + lane, 96) * (1 + len(work))
        stream = work[lane][0] if len(work) > lane else device.stream()
        given = device.allocate(batch.nbytes)
        found = device.allocate(batch.nbytes // 3)
        logits = np.empty((len(batch), 1, 96, 96), np.float32)
        device.upload(batch, given, stream)
        lanes.enqueue(lane, given.pointer, found.pointer, batch.shape, stream.handle)
        device.download(found, logits, stream)
        work.append((stream, batch, logits, given, found))
    device.synchronize()
    for _, batch, logits, _, _ in work:
        np.testing.assert_allclose(logits, one.infer(batch), atol=1e-3)
