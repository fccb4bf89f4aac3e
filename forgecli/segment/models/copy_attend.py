"""A network that is told about copying: at each place it sees where else the image looks like it.

A search that is not learned (`correlation.py`) matches every place with another one and says how
well, how steadily and how exclusively they fit. Copies and look-alikes differ in that, in what is
there, and in what lies around, and this is what the network learns: it takes the search's evidence,
features of a pretrained encoder here and at the match, and the noise residual. So it has less to
learn than one that has to find copies by itself, and needs minutes of training. (Similarity and
appearance as two sources: BusterNet, Wu et al., 2018, and DOA-GAN, Islam et al., 2020.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from forgecli.segment.batch import Batch
from forgecli.segment.models.correlation import EVIDENCE, CopySearch
from forgecli.segment.models.encoders import Normalise, make_encoder, statistics_of
from forgecli.segment.models.network import Criterion, Network
from forgecli.segment.models.residual import NoiseResidual

ENCODER = "tu-tf_efficientnet_lite0"

AUXILIARY = 0.3
"""Weight of the loss of the first head, which sees the matches and little else."""

LOOKS = 16
"""Channels of the features that are compared between a place and its match."""

RARE = -3.0
"""Bias of the first head: copied pixels are few, and training should not begin by learning that."""


class CopyAttend(Network):
    """Matches of all places, joined with an encoder and the noise residual.

    Input is (N, 3, H, W) from 0 to 1, H and W multiples of 32; output logits (N, 1, H, W).

    The encoder's normalisation layers keep their pretrained statistics in training: batches of a
    few crops would spoil them.

    Args:
        encoder: of segmentation-models-pytorch, ``tu-NAME`` for those of timm; used to 1/16.
        encoder_weights: ``imagenet``, a safetensors file, or None for random ones.
        apart: pixels of the input; copies nearer than this along both axes are not looked for.
        width: channels of the decoder at 1/4, a multiple of 16; twice as many below.
        tune_encoder: the encoder is trained too. It takes longer, and minutes do not suffice.

    Raises:
        UsageError: there is no such encoder.
        ForgeError: the encoder's weights cannot be had.
    """

    multiple = 32

    def __init__(
        self,
        encoder: str = ENCODER,
        *,
        encoder_weights: str | Path | None = None,
        apart: int = 16,
        width: int = 32,
        tune_encoder: bool = False,
    ) -> None:
        super().__init__()
        self.tune_encoder = tune_encoder
        self.normalise = Normalise(statistics_of(encoder))
        self.encoder = make_encoder(encoder, depth=4, weights=encoder_weights)
        self.encoder.requires_grad_(tune_encoder)
        _, half, quarter, eighth, sixteenth = cast(list[int], self.encoder.out_channels)
        self.search = CopySearch(apart)
        self.residual = NoiseResidual()
        self.looks = nn.Conv2d(quarter, LOOKS, 1)
        self.stem = nn.Sequential(_block(EVIDENCE + 6 + 1 + LOOKS, width), _block(width, width))
        self.prior = nn.Conv2d(width, 1, 1)
        self.to8 = _block(width + eighth, 2 * width)
        self.to16 = _block(2 * width + sixteenth, 2 * width)
        self.context = nn.Linear(4 * width, 2 * width)
        self.from16 = _block(4 * width, 2 * width)
        self.from8 = _block(3 * width + quarter, width)
        self.from4 = _block(width + half + 4, width // 2)
        self.head = nn.Conv2d(width // 2, 1, 1)
        nn.init.constant_(cast(Tensor, self.prior.bias), RARE)
        nn.init.zeros_(self.head.weight)  # at first, the answer is the first head's
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As ever, but the encoder stays as it is when it predicts."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of images (N, 3, H, W), 0 to 1."""
        return self._logits(images)[0]

    def loss(self, batch: Batch, criterion: Criterion) -> Tensor:
        """The loss of the logits, and in part that of the first head's."""
        logits, prior = self._logits(batch.images)  # (N, 1, H, W) each
        first = criterion(prior.float(), batch.masks)
        return criterion(logits.float(), batch.masks) + AUXILIARY * first

    def _logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1, H, W) of the whole network and of its first head."""
        maps = cast(list[Tensor], self.encoder(self.normalise(images)))
        _, half, quarter, eighth, sixteenth = maps  # half: (N, _, H/2, W/2), and so on
        e4 = self.stem(self._matched(images, quarter))  # (N, w, H/4, W/4)
        prior = _doubled(_doubled(self.prior(e4)))  # (N, 1, H, W)

        e8 = self.to8(torch.cat([functional.avg_pool2d(e4, 2), eighth], 1))  # (N, 2w, H/8, W/8)
        e16 = self.to16(torch.cat([functional.avg_pool2d(e8, 2), sixteenth], 1))  # (N, 2w, H/16, _)
        whole = torch.cat([e16.mean((2, 3)), e16.amax((2, 3))], 1)  # (N, 4w)
        e16 = e16 + self.context(whole)[:, :, None, None]  # (N, 2w, H/16, W/16)
        d8 = self.from16(torch.cat([_doubled(e16), e8], 1))  # (N, 2w, H/8, W/8)
        d4 = self.from8(torch.cat([_doubled(d8), e4, quarter], 1))  # (N, w, H/4, W/4)
        noise = self.residual(images)[:, :1]  # (N, 1, H, W)
        fine = functional.avg_pool2d(torch.cat([images, noise], 1), 2)  # (N, 4, H/2, W/2)
        d2 = self.from4(torch.cat([_doubled(d4), half, fine], 1))  # (N, w/2, H/2, W/2)
        return prior + _doubled(self.head(d2)), prior

    def _matched(self, images: Tensor, quarter: Tensor) -> Tensor:
        """What the stem takes: evidence, colours and features, here against at the match."""
        matches = self.search(images.mean(1, keepdim=True))
        colours = functional.avg_pool2d(images, 4)  # (N, 3, H/4, W/4)
        other_colours = _at(matches.place, colours)  # (N, 3, H/4, W/4)
        looks = functional.normalize(self.looks(quarter).float(), dim=1)  # (N, L, H/4, W/4)
        other_looks = _at(matches.place, looks)  # (N, L, H/4, W/4)
        joined = [
            matches.evidence,  # (N, E, H/4, W/4)
            colours,
            (colours - other_colours).abs(),
            (looks * other_looks).sum(1, keepdim=True),  # (N, 1, H/4, W/4)
            (looks - other_looks).abs(),
        ]
        return torch.cat([part.to(images.dtype) for part in joined], 1)  # (N, E + 7 + L, H/4, W/4)


def _block(taken: int, given: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(taken, given, 3, padding=1, bias=False),
        nn.GroupNorm(8, given),
        nn.ReLU(inplace=True),
    )


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def _at(place: Tensor, maps: Tensor) -> Tensor:
    """What maps (N, C, h, w) hold at other places, indices (N, h w), brought here."""
    count, channels, h, w = maps.shape
    table = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (N h w, C)
    first = torch.arange(0, count * h * w, h * w, device=maps.device)[:, None]  # (N, 1)
    return table[first + place].view(count, h, w, channels).permute(0, 3, 1, 2)
