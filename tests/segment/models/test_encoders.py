"""Encoders by name, and the normalisation that goes with them."""

import pytest
import timm
import torch

from forgecli.errors import UsageError
from forgecli.segment.models.encoders import (
    DPN,
    IMAGENET,
    INCEPTION,
    Normalise,
    Statistics,
    check_encoder,
    freeze_unused,
    make_encoder,
    statistics_of,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet34", IMAGENET),
        ("mit_b0", IMAGENET),
        ("efficientnet-b0", IMAGENET),
        ("timm-efficientnet-b0", IMAGENET),
        ("timm-tf_efficientnet_lite0", INCEPTION),
        ("inceptionv4", INCEPTION),
        ("xception", INCEPTION),
        ("dpn68", DPN),
        ("tu-tf_efficientnet_lite0", INCEPTION),
        ("tu-tf_efficientnet_lite0.in1k", INCEPTION),
        ("tu-resnet18", IMAGENET),
        ("tu-vit_base_patch16_224.augreg_in21k", INCEPTION),
    ],
)
def test_statistics(name: str, expected: Statistics) -> None:
    assert statistics_of(name) == expected


def test_statistics_of_every_encoder_that_timm_has_too() -> None:
    """timm publishes the numbers of the same weights with the package; smp on a server only."""
    same = {"dpn68": "dpn68", "inceptionv4": "inception_v4", "xception": "legacy_xception",
            "resnet50": "resnet50", "densenet121": "densenet121", "vgg16": "vgg16",
            "inceptionresnetv2": "inception_resnet_v2", "mobileone_s0": "mobileone_s0",
            "timm-tf_efficientnet_lite3": "tf_efficientnet_lite3"}  # fmt: skip
    for ours, theirs in same.items():
        config = timm.models.get_pretrained_cfg(theirs)
        mean, std = statistics_of(ours)
        assert mean == pytest.approx(config.mean, abs=1e-3), ours
        assert std == pytest.approx(config.std, abs=2e-3), ours


def test_normalise_treats_further_channels_as_colours() -> None:
    module = Normalise(IMAGENET, 6)
    images = torch.rand(2, 6, 4, 4)
    found = module(images)
    for channel in range(6):
        expected = (images[:, channel] - IMAGENET[0][channel % 3]) / IMAGENET[1][channel % 3]
        torch.testing.assert_close(found[:, channel], expected)
    assert set(module.state_dict()) == {"mean", "std"}


def test_an_unknown_encoder_brings_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean resnet18\?"):
        check_encoder("resnet-18")
    with pytest.raises(UsageError, match=r"did you mean tu-convnext_tiny\?"):
        check_encoder("tu-convnextt_tiny")


def test_the_deprecated_names_are_still_known() -> None:
    check_encoder("timm-mobilenetv3_small_100")
    check_encoder("timm-tf_efficientnet_lite0")


def test_maps_of_an_encoder() -> None:
    encoder = make_encoder("resnet18", channels=6, depth=3).eval()
    with torch.inference_mode():
        maps = encoder(torch.rand(1, 6, 64, 32))
    assert [tuple(one.shape[1:]) for one in maps] == [
        (6, 64, 32), (64, 32, 16), (64, 16, 8), (128, 8, 4),
    ]  # fmt: skip


def test_making_one_says_nothing(recwarn: pytest.WarningsRecorder) -> None:
    make_encoder("timm-tf_efficientnet_lite0", depth=2)
    assert not recwarn.list


def test_unused_layers_are_frozen() -> None:
    encoder = make_encoder("resnet18", depth=3)

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.encoder(images)[-1]

    network = Last()
    idle = freeze_unused(network, 3, 64)
    assert idle and all(name.startswith(("encoder.layer3", "encoder.layer4")) for name in idle)
    assert {n for n, p in network.named_parameters() if not p.requires_grad} == set(idle)
    assert next(network.parameters()).device.type == "cpu"
