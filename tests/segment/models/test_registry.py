"""Names, arguments and what is said of wrong ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from forgecli.errors import UsageError
from forgecli.segment.models import registry

ROOT = Path(__file__).parents[3]


def test_the_systems_of_the_field_are_there() -> None:
    named = {"simple-cnn", "dual-stream", "mask-rcnn", "faster-rcnn", "copy-attend"}
    of_smp = {"unet", "unet++", "manet", "linknet", "fpn", "pspnet", "pan", "deeplabv3",
              "deeplabv3+", "upernet", "segformer", "dpt"}  # fmt: skip
    assert set(registry.names()) == named | of_smp


def test_every_architecture_of_smp_has_a_name() -> None:
    import segmentation_models_pytorch as smp

    ours = {entry.fixed.get("architecture") for entry in registry._ENTRIES.values()}
    assert {kind.__name__ for kind in smp.MODEL_ARCHITECTURES_MAPPING.values()} <= ours


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_names_need_no_torch() -> None:
    done = run("from forgecli.segment.models import registry; assert registry.names(); "
               "import sys; assert 'torch' not in sys.modules")  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_without_torch_the_extra_is_named() -> None:
    done = run(
        "import sys; sys.modules['torch'] = None\n"
        "from forgecli.errors import UsageError\n"
        "from forgecli.segment.models import registry\n"
        "try: registry.build('simple-cnn')\n"
        "except UsageError as error: print(error)\n"
    )
    assert "torch" in done.stdout and "forgecli[train]" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("missing", "name"), [("segmentation_models_pytorch", "unet"), ("torchvision.ops", "mask-rcnn")]
)
def test_any_missing_package_is_named(
    missing: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(_: str) -> None:
        raise ModuleNotFoundError(name=missing)

    monkeypatch.setattr(registry, "import_module", without)
    with pytest.raises(UsageError, match=rf"{missing.split('.')[0]}.*forgecli\[train\]"):
        registry.build(name)


def test_a_module_of_ours_that_is_missing_is_not_blamed_on_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(_: str) -> None:
        raise ModuleNotFoundError(name="forgecli.segment.models.smp")

    monkeypatch.setattr(registry, "import_module", without)
    with pytest.raises(ModuleNotFoundError):
        registry.build("unet")


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean deeplabv3\+\?"):
        registry.build("deeplab3+")


def test_an_unknown_argument_brings_those_that_are_taken() -> None:
    with pytest.raises(UsageError, match=r"'encodr'.*it takes encoder, ela, residual"):
        registry.build("unet", encodr="resnet18")
    with pytest.raises(UsageError, match="it takes none"):
        registry.build("simple-cnn", encoder="resnet18")


def test_arguments_of_a_network() -> None:
    assert registry.arguments_of("dual-stream") == ("encoder", "ela")
    assert {"encoder", "ela", "residual", "decoder_channels"} <= set(registry.arguments_of("unet"))
    assert "architecture" not in registry.arguments_of("unet")
    assert "instances" in registry.arguments_of("mask-rcnn")


def test_what_a_name_stands_for_cannot_be_changed() -> None:
    with pytest.raises(UsageError, match="'architecture'"):
        registry.build("unet", architecture="FPN")


def test_a_network_without_an_encoder_takes_no_weights_for_one() -> None:
    registry.build("simple-cnn", encoder_weights="none")
    for name in ("simple-cnn", "dual-stream"):
        with pytest.raises(UsageError):
            registry.build(name, encoder_weights="imagenet")


def test_an_option_that_cannot_be_is_an_error_for_people() -> None:
    with pytest.raises(UsageError, match="Unet with the encoder resnet18 cannot be made"):
        registry.build("unet", encoder="resnet18", encoder_depth=9)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("dpt", "resnet18"),  # transformers only
        ("deeplabv3", "vgg11"),  # pools, so it cannot be dilated
        ("unet", "tu-swin_tiny_patch4_window7_224"),  # one size only
        ("mask-rcnn", "tu-vit_tiny_patch16_224"),  # one scale only
    ],
)
def test_parts_that_do_not_go_together_are_an_error_for_people(name: str, encoder: str) -> None:
    with pytest.raises(UsageError, match=rf"{encoder} cannot be made: \S"):
        registry.build(name, encoder=encoder)
