"""Boxes and masks as logits."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import masks_to_boxes

from forgecli.errors import UsageError
from forgecli.segment.batch import Batch
from forgecli.segment.models import registry
from forgecli.segment.models.detectors import ABSENT, FasterRcnn, MaskRcnn, boxes_of
from tests.segment.models.small import arguments, batch, network


def criterion(*_: object) -> torch.Tensor:
    raise AssertionError("detectors have losses of their own")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**31))
def test_boxes_are_those_of_torchvision_one_pixel_further(
    height: int, width: int, count: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, height, width, generator=generator) > 0.8
    masks[:, int(torch.randint(height, (), generator=generator)), 0] = True
    expected = masks_to_boxes(masks) + torch.tensor([0.0, 0, 1, 1])
    torch.testing.assert_close(boxes_of(masks), expected)


def test_no_masks_have_no_boxes() -> None:
    assert boxes_of(torch.zeros(0, 4, 5, dtype=torch.bool)).shape == (0, 4)


def faster() -> FasterRcnn:
    made = network("faster-rcnn")
    assert isinstance(made, FasterRcnn)
    return made


def mask() -> MaskRcnn:
    made = network("mask-rcnn")
    assert isinstance(made, MaskRcnn)
    return made


def logit(probability: float) -> float:
    return float(torch.logit(torch.tensor(probability)))


def test_boxes_are_filled_with_the_best_score() -> None:
    found = {
        "boxes": torch.tensor([[2.0, 1.0, 6.0, 4.0], [4.4, 3.4, 7.6, 9.0], [-3.0, 6.0, 1.2, 7.0]]),
        "scores": torch.tensor([0.9, 0.4, 0.6]),
    }
    drawn = faster()._drawn(found, 8, 8)
    expected = torch.full((1, 8, 8), ABSENT)
    expected[0, 3:8, 4:8] = logit(0.4)  # centres from 4.5 to 7.5, rows from 3.5
    expected[0, 6:7, 0:1] = logit(0.6)
    expected[0, 1:4, 2:6] = logit(0.9)
    torch.testing.assert_close(drawn, expected)


def test_nothing_found_is_far_below_zero() -> None:
    nothing = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
    nothing["masks"] = torch.zeros(0, 1, 28, 28)
    assert (faster()._drawn(nothing, 8, 16) == ABSENT).all()
    drawn = mask()._drawn(nothing, 8, 16)
    assert drawn.shape == (5, 8, 16) and (drawn == ABSENT).all()


def test_a_channel_is_an_instance_and_says_the_lower_of_score_and_mask() -> None:
    masks = torch.full((2, 1, 28, 28), 0.99)
    masks[1] = 0.55
    boxes = torch.tensor([[4.0, 4.0, 20.0, 12.0], [24.0, 4.0, 30.0, 30.0]])
    found = {"boxes": boxes, "scores": torch.tensor([0.8, 0.7]), "masks": masks}
    drawn = mask()._drawn(found, 32, 32)
    assert drawn.shape == (5, 32, 32)
    assert float(drawn[0, 8, 12]) == pytest.approx(logit(0.8), abs=1e-3)
    assert float(drawn[1, 16, 27]) == pytest.approx(logit(0.55), abs=1e-2)
    assert drawn[0, 20, 12] == ABSENT and drawn[0, 8, 27] == ABSENT
    assert (drawn[2:] == ABSENT).all()


@pytest.mark.parametrize("name", ["mask-rcnn", "faster-rcnn"])
def test_there_is_no_gradient_in_the_logits(name: str) -> None:
    net = network(name)
    logits = net(batch(net).images)
    assert not logits.requires_grad


@pytest.mark.parametrize("name", ["mask-rcnn", "faster-rcnn"])
def test_the_loss_can_be_measured_in_evaluation_too(name: str) -> None:
    net = network(name)
    given = batch(net)
    running = {key: value.clone() for key, value in net.state_dict().items()}
    with torch.no_grad():
        value = net.loss(given, criterion)
    assert value.isfinite() and value > 0
    assert all(torch.equal(value, running[key]) for key, value in net.state_dict().items())
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize("name", ["mask-rcnn", "faster-rcnn"])
def test_a_batch_without_any_instance_has_a_loss(name: str) -> None:
    net = network(name)
    given = batch(net)
    empty = [torch.zeros(0, *given.images.shape[2:]), torch.zeros(3, *given.images.shape[2:])]
    value = net.loss(Batch(given.images, given.masks * 0, empty, ["a", "b"]), criterion)
    value.backward()
    assert value.isfinite() and value > 0


def test_pictures_are_not_rescaled() -> None:
    net = faster()
    sizes: list[tuple[int, ...]] = []
    handle = net.pyramid.encoder.register_forward_pre_hook(
        lambda _, given: sizes.append(tuple(given[0].shape))
    )
    net(torch.rand(1, 3, 96, 64))
    handle.remove()
    assert sizes == [(1, 3, 96, 64)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"anchors": [8, 16]}, "five sizes"),
        ({"instances": 0}, "1 instance or more"),
        ({"proposals": 0}, "1 proposal"),
    ],
)
def test_arguments_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.build("mask-rcnn", encoder="resnet18", **given)


@pytest.mark.slow
def test_mask_rcnn_learns_one_example() -> None:
    torch.manual_seed(3)
    net = registry.build("mask-rcnn", **arguments("mask-rcnn")).train()
    instances = torch.zeros(1, 64, 64, dtype=torch.uint8)
    instances[0, 12:44, 8:40] = 1
    pictures = 0.2 * torch.rand(2, 3, 64, 64)
    pictures[0] += 0.7 * instances[0]
    nothing = torch.zeros(0, 64, 64, dtype=torch.uint8)
    masks = torch.stack([instances[0], torch.zeros(64, 64)])[:, None].float()
    example = Batch(pictures, masks, [instances, nothing], ["a", "b"])
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4)
    for _ in range(28):
        optimiser.zero_grad()
        net.loss(example, criterion).backward()
        optimiser.step()
    for module in net.modules():  # too few steps for running statistics
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    for _ in range(3):
        net.pyramid(net.normalise(pictures))
    found = net.eval()(pictures) > 0  # (2, 5, 64, 64)
    flagged, true = found[0].any(0), masks[0, 0] > 0
    assert (flagged & true).sum() / (flagged | true).sum() > 0.6
    assert not found[1].any()
