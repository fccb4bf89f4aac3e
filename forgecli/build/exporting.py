"""The ONNX files of a checkpoint, as bytes with the card in their metadata."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import forgecli
from engines.base import Spec
from forgecli.build.plan import BuildPlan, check_multiples, view_side
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, card_text
from forgecli.segment.onnx_file import CARD_KEY

if TYPE_CHECKING:
    import onnx

    from forgecli.segment.models.network import Network


@dataclass(frozen=True, slots=True)
class Exported:
    """A network as ONNX, in one precision.

    Attributes:
        model: the graph.
        spec: what it takes and gives.
        float32: modules that are not half precision.
        versions: of the packages that made it.
    """

    model: onnx.ModelProto
    spec: Spec
    float32: tuple[str, ...]
    versions: dict[str, str]


def require_packages() -> None:
    """Find out before the work starts whether all packages are there that it takes.

    Raises:
        UsageError: one is not; the message names the extra.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
        import segmentation_models_pytorch  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"exporting needs a package that cannot be imported: {error}.",
            mend="install the extra: pip install 'forgecli[train]'",
        ) from error


def export(network: Network, plan: BuildPlan) -> Exported:
    """A network as ONNX in float32.

    Args:
        network: ready to predict.
        plan: where it comes from, and the size it is for, if it takes one only.

    Raises:
        UsageError: the size does not suit the network.
        ForgeError: the exporter does not take the network.
    """
    spec = spec_to_export(network, plan)
    import onnx
    import onnxscript
    import torch

    from engines.export.graph import NotExportable, to_onnx

    try:
        model = to_onnx(network, spec.size)
    except NotExportable as error:
        raise ForgeError(
            f"the network cannot become ONNX: {error}",
            file=plan.weights,
            mend="forge predict --model takes the checkpoint itself",
        ) from error
    versions = {"torch": str(torch.__version__), "onnx": str(onnx.__version__),
                "onnxscript": str(onnxscript.__version__)}  # fmt: skip
    return Exported(model, spec, modules_in_float32(network), versions)


def spec_to_export(network: Network, plan: BuildPlan) -> Spec:
    """What the ONNX file of a network will take and give.

    Raises:
        UsageError: the size does not suit the network.
    """
    from engines.export.graph import spec_of
    from forgecli.build.copy_search import searches

    if not searches(network):
        return spec_of(network)
    if plan.settings.size is None:
        side = view_side(plan.card, network.multiple)
        return spec_of(network, (side, side))
    check_multiples(plan.settings.size, network.multiple)
    return spec_of(network, plan.settings.size[1])


def halved(full: Exported, weights: Path) -> Exported:
    """The same network with half precision inside.

    Raises:
        ForgeError: there is something in it that cannot be converted.
    """
    from engines.export.half import to_half

    try:
        model = to_half(full.model, full.float32)
    except ValueError as error:
        raise ForgeError(
            f"the network cannot be brought to half precision: {error}.",
            file=weights,
            mend="--precision fp32",
        ) from error
    spec = dataclasses.replace(full.spec, precision="fp16")
    return dataclasses.replace(full, model=model, spec=spec)


def modules_in_float32(network: Network) -> tuple[str, ...]:
    """Modules whose arithmetic stays float32, whatever the rest of the network has.

    Those that say so themselves: the noise residual and the search for copies look for differences
    that half precision rounds away.
    """
    from forgecli.segment.models.correlation import CopySearch
    from forgecli.segment.models.residual import NoiseResidual

    return tuple(
        name
        for name, module in network.named_modules()
        if name and isinstance(module, CopySearch | NoiseResidual)
    )


def card_of(plan: BuildPlan, exported: Exported, checks: dict[str, Any]) -> Card:
    """The card of an ONNX file: the checkpoint's, and how it was exported.

    Args:
        plan: the checkpoint.
        exported: the network.
        checks: what was compared, and how it came out.
    """
    from engines.export.graph import OPSET

    spec = exported.spec
    facts = {
        "channels": spec.channels,
        "multiple": spec.multiple,
        "size": None if spec.size is None else list(spec.size),
        "outputs": spec.outputs,
        "precision": spec.precision,
        "opset": OPSET,
        "weights": plan.sha256,
        "forge": forgecli.__version__,
        "versions": exported.versions,
        "float32": list(exported.float32) if spec.precision == "fp16" else [],
        "checks": checks,
    }
    return dataclasses.replace(plan.card, built={"onnx": facts})


def bytes_of(exported: Exported, card: Card | None, weights: Path) -> bytes:
    """An ONNX file, with its card inside if there is one yet.

    Raises:
        ForgeError: the network is too large for one file.
    """
    from engines.export.file import file_of

    metadata = {} if card is None else {CARD_KEY: card_text(card)}
    try:
        return file_of(exported.model, metadata, version=forgecli.__version__)
    except ValueError as error:
        raise ForgeError(f"{error}.", file=weights) from error
