"""What holds for every network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from forgecli.segment.checkpoint import Card, load_checkpoint, save_checkpoint
from forgecli.segment.models import registry
from tests.segment.models.small import DETECTORS, NAMES, OF_SMP, arguments, batch, images, network


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_size_of_the_images(name: str) -> None:
    net = network(name)
    pictures = images(net)
    with torch.inference_mode():
        logits = net(pictures)
    assert logits.shape == (2, net.outputs, *pictures.shape[2:])
    assert logits.dtype == torch.float32 and logits.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_is_the_multiple(name: str) -> None:
    net = network(name)
    with torch.inference_mode():
        logits = net(torch.rand(1, 3, net.multiple, net.multiple))
    assert logits.shape == (1, net.outputs, net.multiple, net.multiple)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_judged_by_itself(name: str) -> None:
    net = network(name)
    pictures = images(net)
    with torch.inference_mode():
        together, alone = net(pictures), net(pictures[1:])
    torch.testing.assert_close(together[1:], alone, rtol=1e-3, atol=1e-3)


HALF = [(name, torch.bfloat16) for name in NAMES]
HALF += [(name, torch.float16) for name in NAMES if name not in DETECTORS]  # slow on a CPU


@pytest.mark.parametrize(("name", "dtype"), HALF)
def test_half_precision_stays_close(name: str, dtype: torch.dtype) -> None:
    net = network(name)
    pictures = images(net, 1)
    with torch.inference_mode():
        full = net(pictures)
        with torch.autocast("cpu", dtype):
            half = net(pictures).float()
            constant = net(torch.full_like(pictures, 0.5))
    assert half.isfinite().all() and constant.isfinite().all()
    if name not in DETECTORS:  # theirs may find another box
        scale = max(float(full.std()), 1e-3)
        assert (half - full).abs().mean() < 0.1 * scale


@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_parameter_has_a_gradient(name: str) -> None:
    net = network(name).train()
    value = net.loss(batch(net), binary_cross_entropy_with_logits)
    assert value.ndim == 0 and value.dtype == torch.float32 and value.isfinite()
    value.backward()
    for key, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_keeps_the_network(name: str, tmp_path: Path) -> None:
    net = network(name)
    file = tmp_path / "best.safetensors"
    save_checkpoint(file, net, Card(name, arguments(name)))
    torch.manual_seed(1)
    again, card = load_checkpoint(file)
    assert card.model == name and not again.training
    mine, other = net.state_dict(), again.state_dict()
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    pictures = images(net, 1)
    with torch.inference_mode():
        assert torch.equal(net(pictures), again(pictures))


@pytest.mark.parametrize("name", OF_SMP)
def test_what_is_idle_is_frozen_and_nothing_else(name: str) -> None:
    net = network(name)
    net(images(net)).sum().backward()
    for key, parameter in net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("simple-cnn", {}, 120),
        ("dual-stream", {}, 60),
        ("unet", {"encoder": "mobilenet_v2", "decoder_channels": [32, 16, 16, 8, 8]}, 30),
    ],
)
def test_one_example_can_be_learned(name: str, options: dict[str, Any], steps: int) -> None:
    net = registry.build(name, **options).train()
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, 8:20, 4:16] = 1
    pictures = 0.2 * torch.rand(2, 3, 32, 32) + 0.6 * masks
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = binary_cross_entropy_with_logits(net(pictures), masks)
        loss.backward()
        optimiser.step()
    found = net(pictures) > 0
    overlap = (found & (masks > 0)).sum() / (found | (masks > 0)).sum()
    assert overlap > 0.85
