"""The network that sees matches: shapes, gradients, precision, export, and that it can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from forgecli.segment.batch import Batch
from forgecli.segment.models import registry
from forgecli.segment.models.copy_attend import CopyAttend, _at

ENCODER = "resnet18"


def network(**arguments: Any) -> CopyAttend:
    torch.manual_seed(0)
    made = registry.build("copy-attend", encoder=ENCODER, width=16, **arguments)
    assert isinstance(made, CopyAttend)
    torch.nn.init.normal_(made.head.weight, std=0.1)  # as after training: it takes part
    return made


def with_copy(seed: int, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A texture in which a square was copied, and the mask of both."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, side + 2, side + 2, generator=generator)
    image = torch.nn.functional.avg_pool2d(image, 3, 1)  # (3, side, side)
    mask = torch.zeros(1, side, side)
    top, left = (int(torch.randint(2, 8, (), generator=generator)) for _ in range(2))
    image[:, top + 30 : top + 54, left + 28 : left + 52] = image[
        :, top : top + 24, left : left + 24
    ].clone()
    mask[:, top : top + 24, left : left + 24] = 1
    mask[:, top + 30 : top + 54, left + 28 : left + 52] = 1
    return image, mask


def batch(count: int = 2) -> Batch:
    pairs = [with_copy(seed) for seed in range(count)]
    masks = torch.stack([mask for _, mask in pairs])
    return Batch(
        torch.stack([image for image, _ in pairs]),
        masks,
        [mask.to(torch.uint8) for mask in masks],
        [str(number) for number in range(count)],
    )


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    net = network().eval()
    with torch.inference_mode():
        logits = net(torch.rand(2, 3, *size))
    assert logits.shape == (2, 1, *size)
    assert bool(logits.isfinite().all())


def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    net = network().eval()
    pictures = batch(3).images
    with torch.inference_mode():
        torch.testing.assert_close(net(pictures)[1:2], net(pictures[1:2]), rtol=1e-4, atol=1e-4)


def test_every_trained_parameter_has_a_gradient() -> None:
    for tuned in (False, True):
        net = network(tune_encoder=tuned)
        net.loss(batch(), bce).backward()  # type: ignore[no-untyped-call]
        without = {name for name, p in net.named_parameters() if p.requires_grad and p.grad is None}
        assert not {name for name in without if not name.startswith("encoder.")}
        zero = [name for name, p in net.named_parameters()
                if p.grad is not None and not bool(p.grad.abs().sum() > 0)]  # fmt: skip
        assert zero == []
        assert any(p.requires_grad for p in net.encoder.parameters()) is tuned


def test_training_leaves_the_encoders_statistics_alone() -> None:
    net = network(tune_encoder=True).train()
    before = {name: value.clone() for name, value in net.encoder.state_dict().items()}
    net(batch().images)
    for name, value in net.encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_is_deterministic() -> None:
    first, second = network().train(), network().train()
    losses = []
    for net in (first, second):
        loss = net.loss(batch(), bce)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
    assert losses[0] == losses[1]
    for (name, a), (_, b) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert a.grad is None or (b.grad is not None and torch.equal(a.grad, b.grad)), name


def test_it_learns_what_a_copy_is() -> None:
    net = network().train()
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 3e-3)
    for step in range(30):
        pairs = [with_copy(100 + 4 * step + number) for number in range(4)]
        pictures, masks = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        loss = net.loss(Batch(pictures, masks, [], []), bce)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()
    scores = []
    with torch.inference_mode():
        for seed in range(5):  # textures it has not seen
            image, mask = with_copy(seed)
            said = net(image[None])[0] > 0
            both = (said & (mask > 0)).sum()
            scores.append(float(2 * both / (said.sum() + mask.sum())))
    assert np.mean(scores) > 0.6


@pytest.mark.parametrize("pattern", ["black", "white", "checkers"])
def test_hard_pictures_keep_half_precision_finite(pattern: str) -> None:
    picture = torch.zeros(1, 3, 64, 64)
    if pattern == "white":
        picture += 1
    elif pattern == "checkers":
        picture[..., ::2, 1::2] = 1
        picture[..., 1::2, ::2] = 1
    net = network().train()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = net.loss(Batch(picture, torch.zeros(1, 1, 64, 64), [], []), bce)
    loss.backward()  # type: ignore[no-untyped-call]
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


def test_autocast_changes_little() -> None:
    net = network().eval()
    pictures = batch().images
    with torch.inference_mode():
        expected = net(pictures)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = net(pictures)
    assert (found - expected).abs().max() < 0.1 * expected.std() + 0.1


def test_half_weights_run() -> None:
    net = network().eval().half()
    with torch.inference_mode():
        logits = net(batch().images.half())
    assert logits.dtype == torch.float16
    assert bool(logits.isfinite().all())


def test_weights_go_through_a_file(tmp_path: Path) -> None:
    from forgecli.segment.checkpoint import Card, load_checkpoint, save_checkpoint

    net = network().eval()
    arguments = {"encoder": ENCODER, "width": 16}
    save_checkpoint(tmp_path / "a.safetensors", net, Card("copy-attend", arguments))
    loaded, _ = load_checkpoint(tmp_path / "a.safetensors")
    pictures = batch().images
    with torch.inference_mode():
        assert torch.equal(loaded(pictures), net(pictures))


def test_bringing_maps_from_other_places() -> None:
    maps = torch.arange(12.0).view(2, 1, 2, 3)
    place = torch.tensor([[5, 4, 3, 2, 1, 0], [0, 0, 0, 5, 5, 5]])
    expected = torch.tensor([[[[5, 4, 3], [2, 1, 0]]], [[[6, 6, 6], [11, 11, 11]]]])
    torch.testing.assert_close(_at(place, maps), expected.float())


def test_it_exports_as_the_same_network() -> None:
    net = network().eval()
    image = batch(1).images
    program = torch.onnx.export(net, (image,), dynamo=True, optimize=False, verbose=False)
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model, full_check=True)
    (found,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: image.numpy()})
    with torch.inference_mode():
        expected = net(image).numpy()
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-4)
