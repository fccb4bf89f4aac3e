"""The networks by name. Importing this, and `names`, need no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgecli.config import nearest
from forgecli.errors import UsageError

if TYPE_CHECKING:
    from forgecli.segment.models.network import Network

_HERE = "forgecli.segment.models."

_BOXES = (
    "how many boxes there are depends on the picture, and so do the shapes of the tensors; "
    "the exporter needs them to be known"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """How a network is made.

    Attributes:
        factory: ``module:name`` of what makes it, below this package.
        fixed: arguments of the factory that the name stands for.
        not_exportable: why it cannot become ONNX; empty where it can.
    """

    factory: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    not_exportable: str = ""


def _smp(architecture: str) -> Entry:
    return Entry("smp:SmpNetwork", {"architecture": architecture})


_ENTRIES: dict[str, Entry] = {
    "simple-cnn": Entry("simple_cnn:SimpleCnn"),
    "dual-stream": Entry("dual_stream:dual_stream"),
    "mask-rcnn": Entry("detectors:MaskRcnn", not_exportable=_BOXES),
    "faster-rcnn": Entry("detectors:FasterRcnn", not_exportable=_BOXES),
    "copy-attend": Entry("copy_attend:CopyAttend"),
    "unet": _smp("Unet"),
    "unet++": _smp("UnetPlusPlus"),
    "manet": _smp("MAnet"),
    "linknet": _smp("Linknet"),
    "fpn": _smp("FPN"),
    "pspnet": _smp("PSPNet"),
    "pan": _smp("PAN"),
    "deeplabv3": _smp("DeepLabV3"),
    "deeplabv3+": _smp("DeepLabV3Plus"),
    "upernet": _smp("UPerNet"),
    "segformer": _smp("Segformer"),
    "dpt": _smp("DPT"),
}


def names() -> tuple[str, ...]:
    """The names that `build` knows."""
    return tuple(_ENTRIES)


def not_exportable(name: str) -> str:
    """Why a network cannot become ONNX; empty where it can.

    Raises:
        UsageError: there is no network of this name.
    """
    return _entry(name).not_exportable


def arguments_of(name: str) -> tuple[str, ...]:
    """The arguments that `build` takes for a network, without `encoder_weights`.

    Raises:
        UsageError: there is no network of this name, or networks are not installed.
    """
    entry = _entry(name)
    return tuple(n for n in _parameters(_factory(entry), entry) if n != "encoder_weights")


def build(name: str, *, encoder_weights: str | Path | None = None, **arguments: Any) -> Network:
    """Make a network, on the CPU and in training mode.

    Args:
        name: one of `names`.
        encoder_weights: ``imagenet``, ``none`` (as None: random), or a safetensors file with the
            names of the encoder; see `encoder_weights.py`.
        arguments: plain JSON values. They belong into the checkpoint's card.

    Raises:
        UsageError: an unknown name or argument, a value that cannot be, or a missing package.
        ForgeError: the encoder's weights cannot be had.
    """
    entry = _entry(name)
    factory = _factory(entry)
    known = _parameters(factory, entry)
    if "encoder_weights" in known:
        weights = None if str(encoder_weights) == "none" else encoder_weights
        return factory(**entry.fixed, **_checked(name, arguments, known), encoder_weights=weights)
    if encoder_weights is not None and str(encoder_weights) != "none":
        raise UsageError(f"{name} has no encoder that weights could be put into.",
                         mend="leave out --encoder-weights")  # fmt: skip
    return factory(**entry.fixed, **_checked(name, arguments, known))


def _checked(name: str, arguments: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    known = tuple(argument for argument in known if argument != "encoder_weights")
    for argument in arguments:
        if argument not in known:
            takes = "it takes " + ", ".join(known) if known else "it takes none"
            raise UsageError(f"the network {name} has no argument {argument!r}.", mend=takes)
    return arguments


def _entry(name: str) -> Entry:
    if name not in _ENTRIES:
        raise UsageError(f"there is no network {name!r}.", mend=nearest(name, _ENTRIES))
    return _ENTRIES[name]


def _factory(entry: Entry) -> Callable[..., Network]:
    module, _, attribute = entry.factory.partition(":")
    try:
        made: Callable[..., Network] = getattr(import_module(_HERE + module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "forgecli":
            raise
        raise UsageError(
            f"networks need the package {error.name}, which is not installed.",
            mend="install the extra: pip install 'forgecli[train]'",
        ) from error
    return made


def _parameters(factory: Callable[..., Network], entry: Entry) -> tuple[str, ...]:
    """Names of what a factory takes; one that takes any says which in `options_of`."""
    parameters = inspect.signature(factory).parameters.values()
    own = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in entry.fixed]
    if hasattr(factory, "options_of"):
        own += factory.options_of(**entry.fixed)
    return tuple(own)
