"""The settings of a run, one dataclass for each table of the TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from forgecli.errors import UsageError
from forgecli.segment.thresholds import Policy

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]

Precision = Literal["fp32", "fp16", "bf16"]
"""Of training's arithmetic."""

Figure = Literal["dice", "iou", "metric"]
"""What says which epoch is best. ``dice``, ``iou``: of all flagged pixels with all true pixels of
an image, at probability 0.5, the mean over forged images. ``metric``: the competition's score at
the best of a coarse sweep of thresholds over the same images, so it is too high by what that choice
gains; `forge tune` sets the final thresholds and measures them on images they were not chosen on.
"""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Table [model].

    Attributes:
        name: in the registry.
        encoder: of networks that take one; none: the network's own choice.
        encoder_weights: ``imagenet``, ``none`` or a safetensors file of the encoder's weights. A
            network without an encoder of that kind takes ``none`` only.
        init_from: a checkpoint whose tensors start the network where name and shape fit; empty:
            none.
        prior: probability that the last layer's bias gives every pixel at the start (Lin et al.,
            "Focal loss", 2017); 0: what the layer was made with. Few pixels are copied, and a
            network that begins at a half needs its first minutes to learn just that.
        arguments: further arguments of the network, by name. `size` and `ela`, where a network
            takes them, follow [data].
    """

    name: str = "unet"
    encoder: str | None = None
    encoder_weights: str = "none"
    init_from: str = ""
    prior: Annotated[float, Field(ge=0, lt=1)] = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Table [loss].

    Attributes:
        name: one loss or a weighted sum of some, such as ``bce+dice`` or ``bce + 0.5*lovasz``.
            Detectors have losses of their own.
        alpha, beta, gamma, balance, tversky_gamma, smooth: see `forgecli.train.losses.Shape`;
            `balance` 0: all pixels weigh the same.
    """

    name: str = "bce+dice"
    alpha: NotNegative = 0.3
    beta: NotNegative = 0.7
    gamma: NotNegative = 2.0
    balance: Annotated[float, Field(ge=0, lt=1)] = 0.25
    tversky_gamma: Positive = 4 / 3
    smooth: Positive = 0.5

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each loss, by name.

        Raises:
            UsageError: `name` is no such sum.
        """
        weights: dict[str, float] = {}
        for term in self.name.split("+"):
            factor, star, name = term.rpartition("*")
            try:
                weight = float(factor) if star else 1.0
            except ValueError:
                weight = -1.0
            name = name.strip().replace("_", "-")
            if not name or not 0 < weight < float("inf") or name in weights:
                raise UsageError(
                    f"[loss] name: {self.name!r} is not a sum of losses.",
                    mend="write it like bce+dice or bce+0.5*lovasz",
                )
            weights[name] = weight
        return weights


@dataclass(frozen=True, slots=True)
class OptimiserSettings:
    """Table [optimiser].

    Attributes:
        name: ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate after the warm-up.
        encoder_lr: the learning rate of the encoder, as a multiple of `lr`.
        weight_decay: on weights, not on biases and normalisation.
        momentum: of sgd.
        nesterov: whether sgd looks ahead.
        beta1, beta2: of adam and adamw.
        clip: the largest norm of the gradient; 0: any.
    """

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: Positive = 3e-4
    encoder_lr: NotNegative = 1.0
    weight_decay: NotNegative = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    clip: NotNegative = 1.0


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Table [schedule].

    Attributes:
        name: ``constant``; ``cosine`` from `lr` to `floor` over the run; ``plateau``: times
            `factor` after `patience` validations without a better figure.
        warmup: steps over which the learning rate rises from 0 in a line; at most a tenth of the
            run.
        floor: the lowest learning rate (after the warm-up).
        factor, patience: of ``plateau``.
    """

    name: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup: Count = 100
    floor: NotNegative = 1e-6
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: AtLeastOne = 3


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Table [loop].

    Attributes:
        epochs: the most there are.
        minutes: training stops after this wall time, all sessions of the run together, and then
            validates; 0: no limit. A cosine schedule ends with whichever comes first.
        batch: crops of one forward pass, on each device.
        accumulate: forward passes of one step of the optimiser.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda:0``, ``mps``.
        precision: ``fp32``; ``bf16`` or ``fp16``: of what may be computed in it, by autocast.
        channels_last: memory layout; faster on most machines, the same numbers but for rounding.
        ema: decay of the exponential moving average of the weights, which is what is validated and
            kept; 0: none.
        patience: validations without a better figure after which training stops; 0: never.
        workers: processes that read data; none: chosen from the cores.
        threads: of the arithmetic; none: chosen from the cores.
        seed: decides everything that is drawn.
        deterministic: the same weights on a GPU every time, slower. On a CPU they are anyway.
        tensorboard: whether to write event files for it as well.
    """

    epochs: AtLeastOne = 30
    minutes: NotNegative = 0.0
    batch: AtLeastOne = 8
    accumulate: AtLeastOne = 1
    device: str = "auto"
    precision: Precision = "fp32"
    channels_last: bool = True
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    patience: Count = 0
    workers: Count | None = None
    threads: AtLeastOne | None = None
    seed: Count = 0
    deterministic: bool = False
    tensorboard: bool = False


@dataclass(frozen=True, slots=True)
class ValidationSettings:
    """Table [validation].

    Attributes:
        by: the figure that says which epoch is best.
        every: epochs between two validations. There is always one at the end.
        images: validate on no more than this many, the same every time; 0: on all.
        tta: whether the network also sees flipped (``flip``) or flipped and turned (``d4``) views.
        instances: how pixels become instances in ``metric``.
        samples: images drawn into samples/epoch-NNN.png.
    """

    by: Figure = "metric"
    every: AtLeastOne = 1
    images: Count = 0
    tta: Literal["none", "flip", "d4"] = "none"
    instances: Policy = "merged"
    samples: Count = 4
