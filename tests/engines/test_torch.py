"""The engine that runs a PyTorch network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.torch import TorchEngine

torch.set_num_threads(1)


class Tiny(nn.Module):
    """A convolution with BatchNorm and Dropout, so that training mode shows."""

    channels, multiple, size, outputs = 3, 4, None, 2

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Dropout(0.5))
        self.most = most
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.most is not None and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate everything")
        self.seen.append(len(images))
        return self.body(images)


def images(count: int, height: int = 8, width: int = 12) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, height, width), np.float32)


def test_it_gives_what_the_network_gives() -> None:
    network = Tiny().eval()
    batch = images(3)
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()
    found = TorchEngine(network).infer(batch)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_in_training_is_evaluated_and_stays_in_training() -> None:
    network = Tiny().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    engine = TorchEngine(network)
    first, second = engine.infer(images(2)), engine.infer(images(2))
    assert np.array_equal(first, second), "no dropout"
    assert network.training and network.body[2].training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} was changed"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_near_and_leaves_the_weights_alone(precision: str) -> None:
    network = Tiny().eval()
    exact = TorchEngine(network).infer(images(2))
    found = TorchEngine(network, precision=precision).infer(images(2))  # type: ignore[arg-type]
    assert found.dtype == np.float32
    assert 0 < np.abs(found - exact).max() < 0.05
    assert all(value.dtype == torch.float32 for value in network.parameters())


def test_a_batch_too_large_is_halved_and_said_and_stays_small() -> None:
    network, said = Tiny(most=3).eval(), []
    engine = TorchEngine(network, note=said.append)
    found = engine.infer(images(7))
    assert network.seen == [3, 3, 1]
    assert said == ["the GPU's memory does not hold 7 images at once: 3 now"]
    np.testing.assert_allclose(found, TorchEngine(Tiny().eval()).infer(images(7)), atol=1e-6)
    engine.infer(images(7))
    assert len(said) == 1


def test_one_image_too_large_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        TorchEngine(Tiny(most=0)).infer(images(2))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((1, 4, 8, 8), np.float32), r"\(N, 3, H, W\)"),
        (np.zeros((1, 3, 8, 8)), "float64"),
        (np.zeros((0, 3, 8, 8), np.float32), r"\(0, 3, 8, 8\)"),
        (np.zeros((3, 8, 8), np.float32), "Got"),
        (np.zeros((1, 3, 8, 9), np.float32), "multiples of 4"),
    ],
)
def test_what_the_network_does_not_take_is_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TorchEngine(Tiny()).infer(array)


def test_a_fixed_size_is_part_of_the_spec() -> None:
    network = Tiny()
    network.size = (8, 12)  # type: ignore[assignment]
    engine = TorchEngine(network)
    engine.warmup()
    assert engine.spec.size == (8, 12)
    with pytest.raises(ValueError, match="only"):
        engine.infer(images(1, 12, 8))


def test_a_network_that_gives_another_number_of_channels_is_noticed() -> None:
    network = Tiny()
    network.outputs = 1
    with pytest.raises(ValueError, match="could not broadcast"):
        TorchEngine(network).infer(images(2))


def test_a_network_that_gives_another_size_is_noticed() -> None:
    network = Tiny()
    network.body.append(nn.MaxPool2d(2))
    with pytest.raises(ValueError, match="the network gave"):
        TorchEngine(network).infer(images(2))


def test_views_and_read_only_arrays_do() -> None:
    engine = TorchEngine(Tiny().eval())
    flipped = images(2)[:, :, ::-1]
    frozen = flipped.copy()
    frozen.flags.writeable = False
    assert np.array_equal(engine.infer(flipped), engine.infer(frozen))


def test_a_closed_engine_is_not_used() -> None:
    engine = TorchEngine(Tiny())
    engine.close()
    with pytest.raises(AttributeError):
        engine.infer(images(1))
