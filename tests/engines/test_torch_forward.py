"""Weights kept in a precision, and passes that are recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.torch import TorchEngine
from engines.torch_forward import Forward, halve_weights
from engines.torch_graphs import Graphs, Recorded
from tests.engines.test_torch import Tiny, images

torch.set_num_threads(1)


class Partly(nn.Module):
    """Convolutions inside and outside autocast, one of them in both, one never called."""

    channels, multiple, size, outputs = 3, 4, None, 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inside = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.outside = nn.Conv2d(4, 4, 1)
        self.both = nn.Conv2d(4, 4, 1)
        self.head = nn.Conv2d(4, 2, 1)
        self.idle = nn.Linear(2, 2)
        self.tied = nn.Conv2d(4, 4, 1)
        self.tied_too = nn.Conv2d(4, 4, 1)
        self.tied_too.weight = self.tied.weight

    def forward(self, images: Tensor) -> Tensor:
        found = self.both(self.norm(self.inside(images)))
        with torch.autocast(images.device.type, enabled=False):
            found = self.both(self.outside(found.float()))
            found = self.tied_too(found)
        return self.head(self.tied(found))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_logits_do_not_change(precision: str) -> None:
    one = TorchEngine(Partly().eval(), precision=precision)  # type: ignore[arg-type]
    own = TorchEngine(Partly().eval(), precision=precision, own=True)  # type: ignore[arg-type]
    batch = images(2)
    np.testing.assert_array_equal(own.infer(batch), one.infer(batch))


def test_only_what_autocast_would_always_cast_is_cast() -> None:
    network = Partly().eval()
    assert halve_weights(network, torch.zeros(1, 3, 8, 8), "bf16") == 2
    halved = {name for name, value in network.named_parameters() if value.dtype == torch.bfloat16}
    assert halved == {"inside.weight", "inside.bias", "head.weight", "head.bias"}
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_in_full_precision_nothing_is_cast() -> None:
    network = Partly().eval()
    assert halve_weights(network, torch.zeros(1, 3, 8, 8), "fp32") == 0
    TorchEngine(network, own=True)
    assert {value.dtype for value in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "int8"}, "int8"),
        ({"compile": True}, "NVIDIA"),
        ({"graphs": True}, "NVIDIA"),
    ],
)
def test_what_the_cpu_does_not_have(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TorchEngine(Tiny(), **options)  # type: ignore[arg-type]


class Recorder:
    """Records as a GPU does: what was given at first is overwritten, and so is what comes out."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, forward: Forward, images: Tensor) -> Recorded:
        self.shapes.append(tuple(images.shape))
        still, logits = images.clone(), forward(images).clone()

        def replay() -> None:
            logits.copy_(forward(still))

        return Recorded(still, logits, replay)


def test_a_shape_is_recorded_once_and_replayed_with_what_is_new() -> None:
    recorder = Recorder()
    graphs = Graphs(lambda given: given * 2, record=recorder)
    for value in (1.0, 2.0, 3.0):
        assert torch.equal(graphs(torch.full((1, 3), value)), torch.full((1, 3), value * 2))
    assert torch.equal(graphs(torch.ones(2, 3)), torch.full((2, 3), 2.0))
    assert recorder.shapes == [(1, 3), (2, 3)]


def test_the_shapes_used_last_are_kept() -> None:
    recorder = Recorder()
    graphs = Graphs(lambda given: given, most=2, record=recorder)
    for count in (1, 2, 1, 3, 1, 2):
        graphs(torch.ones(count))
    assert recorder.shapes == [(1,), (2,), (3,), (2,)]
    graphs.clear()
    graphs(torch.ones(2))
    assert recorder.shapes[-1] == (2,) and len(recorder.shapes) == 5
