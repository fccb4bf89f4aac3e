"""What a run is trained on and how it is shown: the tables [data] and [augment]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from forgecli.cases.decode import MAX_PIXELS
from forgecli.cases.groups import Join
from forgecli.segment.preprocess import Preprocess, View

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, le=4)]

LoneRegions = Literal["drop", "keep"]


@dataclass(frozen=True)
class SamplingSettings:
    """Which images an epoch is made of.

    Attributes:
        forged_share: share of forged images among the samples. Half of them forged, as in the
            field's data sets, keeps a network from learning that most images are of one class.
            Where only one class is there, all samples are of it.
        small_below: forged images that are covered by less than this, in percent, are small ones.
            A quarter of the competition's forged images lie below the default.
        small_weight: how many times as often as other forged images small ones are drawn. Their
            few pixels count little in any loss, yet in the metric they count like the others.
        epoch_samples: samples of an epoch, on all devices together; 0: as many as there are
            images. Rounded up to whole batches.
    """

    forged_share: Share = 0.5
    small_below: NotNegative = 0.5
    small_weight: Annotated[float, Field(ge=0.1, le=20)] = 2.0
    epoch_samples: Count = 0


@dataclass(frozen=True)
class CropSettings:
    """Which part of a picture a sample shows, and at which scale.

    Attributes:
        scale_jitter: the scale is multiplied by a random factor from 1 / this to this.
        fit: with view ``tile``: the probability that a group which extends over more than a crop
            is scaled down until two of its regions are seen together; otherwise the crop shows one.
        random_crops: share of crops of forged images that are placed without looking at the mask.
        lone_regions: what becomes of a group of which a crop shows one region only, so that what it
            is a copy of cannot be seen. ``drop``: it is no part of the mask: right for networks
            that compare regions. ``keep``: it is: right for networks that look for traces of
            editing. Groups that are one connected piece are always kept, since source and copy
            cannot be told apart.
    """

    scale_jitter: Factor = 1.25
    fit: Share = 0.7
    random_crops: Share = 0.1
    lone_regions: LoneRegions = "drop"


@dataclass(frozen=True)
class DataSettings(CropSettings, SamplingSettings):
    """Table [data].

    Attributes:
        folder: the data set.
        validation_folder: another data set to validate on; all of `folder` is trained on then.
        split: a file as the ``split.csv`` of a run: these sides are taken, and images that it does
            not name are left out.
        cases: a CSV file with the columns case_id and, optionally, group and domain.
        join: whether images that share a source picture are kept on one side of the split; see
            `forgecli.cases.groups`.
        validation_share: share of the images to validate on, by group.
        folds: number of parts for cross-validation, of which `fold` is validated on; 0: none,
            `validation_share` holds.
        fold: from 0 on.
        split_seed: decides the split; runs with other seeds of the loop share the split.
        view, size, overlap, ela: see `forgecli.segment.preprocess.Preprocess`.
        cache_mb: decoded pictures that are kept in memory, all worker processes together.
        max_pixels: larger pictures are left out.
    """

    folder: Path | None = None
    validation_folder: Path | None = None
    split: Path | None = None
    cases: Path | None = None
    join: Join = "auto"
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    folds: Annotated[int, Field(ge=0, le=100)] = 0
    fold: Count = 0
    split_seed: Count = 0
    view: View = "resize"
    size: Annotated[int, Field(ge=32, le=8192)] = 512
    overlap: Annotated[float, Field(ge=0, lt=0.9)] = 0.25
    ela: bool = False
    cache_mb: Count = 0
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS

    @property
    def preprocess(self) -> Preprocess:
        """How the network sees pictures, which goes into its card."""
        return Preprocess(view=self.view, size=self.size, overlap=self.overlap, ela=self.ela)


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Table [augment]. Every transform is drawn for itself; 0 as probability or strength: never.

    The defaults are gentle, since what tells a copy from a look-alike is fine texture, and
    because what is done to an image must not look like a forgery.

    Attributes:
        flips: whether pictures are mirrored and turned by quarter turns, exact in every pixel.
        rotate: probability of a small rotation.
        degrees: its largest angle.
        tone: probability of a change of brightness, contrast and gamma.
        brightness: largest shift, as a share of the range.
        contrast: contrast changes by a factor from 1 - this to 1 + this.
        gamma: gamma is from 1 / (1 + this) to 1 + this.
        blur: probability of a Gaussian blur.
        blur_sigma: its largest width, pixels of the crop.
        noise: probability of Gaussian noise, the same for all channels of a grey picture.
        noise_sigma: its largest standard deviation, in grey levels of 255.
        jpeg: probability of recompression as JPEG.
        jpeg_low, jpeg_high: its quality. The residual and error-level analysis are taken after it.
    """

    flips: bool = True
    rotate: Share = 0.1
    degrees: Annotated[float, Field(ge=0, le=45)] = 10.0
    tone: Share = 0.5
    brightness: Share = 0.1
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    gamma: NotNegative = 0.2
    blur: Share = 0.1
    blur_sigma: NotNegative = 1.0
    noise: Share = 0.2
    noise_sigma: NotNegative = 4.0
    jpeg: Share = 0.5
    jpeg_low: Annotated[int, Field(ge=1, le=100)] = 70
    jpeg_high: Annotated[int, Field(ge=1, le=100)] = 95

    @classmethod
    def none(cls) -> AugmentSettings:
        """Pictures as they are."""
        return cls(flips=False, rotate=0, tone=0, blur=0, noise=0, jpeg=0)
