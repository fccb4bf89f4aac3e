"""Mask R-CNN and Faster R-CNN of torchvision, as networks that give logits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from forgecli.errors import UsageError
from forgecli.segment.batch import Batch
from forgecli.segment.models.encoders import (
    Normalise,
    freeze_unused,
    make_encoder,
    refused,
    statistics_of,
)
from forgecli.segment.models.network import Criterion, Network

ABSENT = -20.0
"""The logit where nothing was found: a probability of 2e-9."""

ANCHORS = (32, 64, 128, 256, 512)
"""Sides of the anchors in pixels, for maps at 1/4, 1/8, 1/16, 1/32 and 1/64; torchvision's."""

WIDTH = 256
"""Channels of every level of the pyramid."""

Found = dict[str, Tensor]
"""What torchvision finds in one image, best first: boxes (n, 4) as x1, y1, x2, y2; scores (n,);
and masks (n, 1, 28, 28), probabilities within the boxes, where there is a head for them."""


class Pyramid(nn.Module):
    """An encoder with a feature pyramid on its maps at 1/4 to 1/32, and one more at 1/64.

    Lin et al., "Feature Pyramid Networks for Object Detection", 2017.
    """

    out_channels = WIDTH

    def __init__(self, encoder: str, weights: str | Path | None) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder, weights=weights)
        channels = cast(list[int], self.encoder.out_channels)
        self.fpn = FeaturePyramidNetwork(channels[2:], WIDTH, extra_blocks=LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (N, 256, H/s, W/s) by name: ``0`` to ``3`` for s of 4 to 32, ``pool`` for 64."""
        maps = self.encoder(images)[2:]
        named = OrderedDict((str(level), level_map) for level, level_map in enumerate(maps))
        return cast(dict[str, Tensor], self.fpn(named))


class _Detector(Network):
    """What both detectors share: RGB from 0 to 1, never rescaled; losses of their own.

    What they are to find is an instance: a source and all its copies, in one box. An image without
    any is a good example, of background.

    The pyramid runs in the precision of autocast, what follows in that of the weights: proposals
    and their suppression do not survive half precision.
    """

    multiple = 32
    has_masks: bool

    def __init__(
        self,
        kind: type[FasterRCNN],
        encoder: str,
        anchors: Sequence[int],
        proposals: int,
        encoder_weights: str | Path | None,
        **options: Any,
    ) -> None:
        super().__init__()
        if proposals < 1:
            raise UsageError(f"detectors need 1 proposal or more. Got: {proposals}")
        if len(anchors) != 5 or min(anchors) <= 0:
            raise UsageError(f"anchors are five sizes in pixels. Got: {list(anchors)}")
        self.normalise = Normalise(statistics_of(encoder))
        self.pyramid = Pyramid(encoder, encoder_weights)
        with refused(f"a feature pyramid on the encoder {encoder}"):
            freeze_unused(self.pyramid, 3, 128)
        generator = AnchorGenerator(tuple((side,) for side in anchors), ((0.5, 1.0, 2.0),) * 5)
        parts = kind(
            self.pyramid,
            num_classes=2,
            rpn_anchor_generator=generator,
            rpn_post_nms_top_n_train=2 * proposals,
            rpn_post_nms_top_n_test=proposals,
            box_batch_size_per_image=min(512, proposals),
            **options,
        )
        self.proposals = parts.rpn
        self.heads = parts.roi_heads

    def loss(self, batch: Batch, criterion: Criterion) -> Tensor:
        """The sum of the losses of proposals, boxes, classes (and masks), as in the papers.

        `criterion` is not used. In evaluation mode it is the same sum, so that it can be measured
        on a validation set; only the statistics of the encoder are then fixed.
        """
        targets = [self._target(instances) for instances in batch.instances]
        with self._stage(training=True):
            _, losses = self._run(batch.images, targets)
        return torch.stack([value.float() for value in losses.values()]).sum()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of images (N, 3, H, W). They have no gradient; see `loss`."""
        with torch.no_grad(), self._stage(training=False):
            found, _ = self._run(images, None)
            height, width = images.shape[2:]
            drawn = [self._drawn(one, height, width) for one in found]
            return torch.stack(drawn).to(images.dtype)  # (N, outputs, H, W)

    def _drawn(self, found: Found, height: int, width: int) -> Tensor:
        """What was found in one image as logits (outputs, height, width)."""
        raise NotImplementedError

    def _run(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[Found], dict[str, Tensor]]:
        maps = self.pyramid(self.normalise(images))
        size = (int(images.shape[2]), int(images.shape[3]))
        listed = ImageList(images, [size] * len(images))
        with torch.autocast(images.device.type, enabled=False):
            dtype = next(self.heads.parameters()).dtype
            maps = OrderedDict((name, level.to(dtype)) for name, level in maps.items())
            listed.tensors = listed.tensors.to(dtype)
            boxes, losses = self.proposals(listed, maps, targets)
            found, more = self.heads(maps, boxes, listed.image_sizes, targets)
        return found, {**losses, **more}

    @contextmanager
    def _stage(self, *, training: bool) -> Iterator[None]:
        """Proposals and heads ask for their mode to know whether losses or boxes are wanted."""
        parts = (self.proposals, self.heads)
        before = [part.training for part in parts]
        for part in parts:
            part.training = training
        try:
            yield
        finally:
            for part, mode in zip(parts, before, strict=True):
                part.training = mode

    def _target(self, instances: Tensor) -> dict[str, Tensor]:
        """Boxes, labels and masks of the instances (n, H, W) of one image; n may be 0."""
        masks = instances > 0  # (n, H, W)
        masks = masks[masks.flatten(1).any(1)]
        target = {
            "boxes": boxes_of(masks),
            "labels": torch.ones(len(masks), dtype=torch.int64, device=masks.device),
        }
        if self.has_masks:
            target["masks"] = masks.to(torch.uint8)
        return target


class MaskRcnn(_Detector):
    """Mask R-CNN (He et al., 2017): one output channel for each of the best `instances`.

    Channel k is the k-th instance by score. The probability of a pixel is the lower of the
    instance's score and its mask there, so a pixel threshold of 0.5 asks for both; outside the
    instance's box, and in channels without an instance, the logit is `ABSENT`.

    Args:
        encoder: of segmentation-models-pytorch; ``resnet50`` is the paper's.
        encoder_weights: ``imagenet``, a safetensors file, or None for random ones.
        instances: how many are given at most; the data sets of the field have up to 5.
        min_score: instances that score less are left out.
        anchors: five sizes in pixels.
        proposals: places of an image that the heads look at: 1000 are torchvision's. They are what
            a prediction costs, and fewer do for pictures that hold few things.
    """

    has_masks = True

    def __init__(
        self,
        encoder: str = "resnet50",
        *,
        encoder_weights: str | Path | None = None,
        instances: int = 5,
        min_score: float = 0.05,
        anchors: Sequence[int] = ANCHORS,
        proposals: int = 1000,
    ) -> None:
        if instances < 1:
            raise UsageError(f"the network mask-rcnn gives 1 instance or more. Got: {instances}")
        options = {"box_score_thresh": min_score, "box_detections_per_img": instances}
        super().__init__(MaskRCNN, encoder, anchors, proposals, encoder_weights, **options)
        self.outputs = instances

    def _drawn(self, found: Found, height: int, width: int) -> Tensor:
        boxes, scores = found["boxes"].float(), found["scores"].float()
        logits = boxes.new_full((self.outputs, height, width), ABSENT)
        if len(boxes):
            inside = paste_masks_in_image(found["masks"].float(), boxes, (height, width))[:, 0]
            lower = torch.minimum(inside, scores[:, None, None])  # (n, H, W)
            logits[: len(boxes)] = torch.where(inside > 0, _logit(lower), logits[: len(boxes)])
        return logits


class FasterRcnn(_Detector):
    """Faster R-CNN (Ren et al., 2015) with every box filled. A baseline, and a bad idea.

    A box is not a region: most of a filled box is outside what was copied, all the more as the box
    of an instance spans the source and its copies. It is here to be compared with.

    The probability of a pixel is the score of the best box it lies in; elsewhere the logit is
    `ABSENT`. A pixel lies in a box if its centre does.

    Args:
        encoder: of segmentation-models-pytorch.
        encoder_weights: ``imagenet``, a safetensors file, or None for random ones.
        min_score: boxes that score less are left out.
        anchors: five sizes in pixels.
        proposals: places of an image that the heads look at: 1000 are torchvision's. They are what
            a prediction costs, and fewer do for pictures that hold few things.
    """

    has_masks = False

    def __init__(
        self,
        encoder: str = "resnet50",
        *,
        encoder_weights: str | Path | None = None,
        min_score: float = 0.3,
        anchors: Sequence[int] = ANCHORS,
        proposals: int = 1000,
    ) -> None:
        options = {"box_score_thresh": min_score}
        super().__init__(FasterRCNN, encoder, anchors, proposals, encoder_weights, **options)

    def _drawn(self, found: Found, height: int, width: int) -> Tensor:
        boxes, scores = found["boxes"].float(), _logit(found["scores"].float())
        logits = boxes.new_full((1, height, width), ABSENT)
        edges = (boxes - 0.5).ceil().clamp_min(0).long().tolist()  # first pixel in, first out
        for (left, top, right, bottom), score in zip(edges, scores, strict=True):
            part = logits[:, top:bottom, left:right]
            part.copy_(torch.maximum(part, score))
        return logits


def boxes_of(masks: Tensor) -> Tensor:
    """The boxes (n, 4) around masks (n, H, W), none of them empty: x1, y1, x2, y2.

    x2 and y2 are one past the last pixel, so that a mask of one pixel has an area.
    """
    sides = []
    for along in (masks.any(1), masks.any(2)):  # (n, W), (n, H)
        places = along.to(torch.int8)
        first = places.argmax(1)
        last = places.shape[1] - places.flip(1).argmax(1)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float()


def _logit(probability: Tensor) -> Tensor:
    return torch.logit(probability.clamp(1e-6, 1 - 1e-6))
