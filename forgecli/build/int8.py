"""INT8: a quantised network, taken only if it finds what the exact one finds."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forgecli.atomic import atomic_writer
from forgecli.build.calibration import Calibration
from forgecli.detection import Case
from forgecli.errors import ForgeError, UsageError
from forgecli.score.dataset_truth import find_cases
from forgecli.segment.checkpoint import Card, card_text, write_card
from forgecli.segment.onnx_file import CARD_KEY, read_onnx_card, spec_of

if TYPE_CHECKING:
    import types

    from forgecli.build.verdicts import Verdicts

CHECKED = 8
"""Images that the two networks are compared on, for each that the quantised one is calibrated with,
as far as the data set has them. Activations need few pictures, a difference of 0.01 needs many."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Int8Report:
    """What quantising cost, and what it gained.

    Attributes:
        file: the quantised network.
        calibrated: images whose activations gave the ranges.
        checked: other images, on which both networks were scored.
        fp32, int8: the metric of each, mean over the checked images.
        drop: `fp32` less `int8`.
        standard_error: of the drop, which is paired.
        changed: checked images whose score is another.
        tolerance: the drop that is allowed.
        accepted: whether the drop is below it; else the file was written because it was forced.
        speed: how many times as fast the network is here, median over the checked images.
    """

    file: Path
    calibrated: int
    checked: int
    fp32: float
    int8: float
    drop: float
    standard_error: float
    changed: int
    tolerance: float
    accepted: bool
    speed: float

    def __str__(self) -> str:
        return (
            f"INT8 scores {self.int8:.4f} and FP32 {self.fp32:.4f} on {self.checked} images: a "
            f"drop of {self.drop:+.4f} (standard error {self.standard_error:.4f}, "
            f"{self.changed} images changed); {self.speed:.1f} times as fast"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**dataclasses.asdict(self), "file": str(self.file)}


def quantise(
    source: Path,
    dataset: Path,
    target: Path,
    *,
    images: int,
    tolerance: float = 0.01,
    force: bool = False,
    note: Note,
) -> Int8Report:
    """Make an INT8 network of an FP32 one, for OpenVINO, and write it if it is as good.

    Post-training quantisation by NNCF: the ranges of activations are those of pictures of the data
    set as the network sees them. Then both networks look at other pictures of it, through the very
    detector that predicts, and what they flag is scored. Nothing is written before that.

    Args:
        source: the FP32 ONNX file, with its card.
        dataset: a folder of images and masks, as `forge truth` takes it.
        target: the ONNX file to make; its card goes inside, and beside it as JSON.
        images: to calibrate with, at most half of those there are.
        tolerance: how much lower the metric may be.
        force: write it however much lower it is.
        note: told what is being done.

    Raises:
        UsageError: a file or a package is missing, or the source is not FP32.
        ForgeError: INT8 is worse than `tolerance` allows, or the data set cannot tell.
        OutputError: the target cannot be written.
    """
    from forgecli.build.verdicts import Verdicts

    card = read_onnx_card(source)
    spec = spec_of(card, source)
    if spec.precision != "fp32":
        raise UsageError(
            f"is {spec.precision}; only FP32 is quantised.",
            file=source,
            mend="export the checkpoint with forge build-engine --onnx-only",
        )
    nncf = _nncf()
    cases = find_cases([str(dataset)], id_from="path")
    calibrating, checking = shares(cases, images, dataset)
    note(f"calibrating INT8 on {len(calibrating)} images")
    seen = Calibration(calibrating, spec, card.preprocess)
    if next(iter(seen), None) is None:
        raise ForgeError(
            f"none of the {len(calibrating)} images to calibrate with can be read.",
            file=dataset,
            mend="forge inspect says what is wrong with them",
        )
    content = _quantised(nncf, source, seen)
    quantised = _card_of_int8(card, len(calibrating))
    note(f"comparing INT8 with FP32 on {len(checking)} other images")
    exact = Verdicts.of(source, checking, dataset)
    _require_telling(exact, source, force)
    with tempfile.TemporaryDirectory(prefix="forge-int8-") as folder:
        draft = Path(folder) / target.name
        draft.write_bytes(_with_card(content, quantised))
        found = Verdicts.of(draft, checking, dataset)
        report = _compared(target, len(calibrating), exact, found, tolerance)
    note(str(report))
    if not report.accepted and not force:
        raise ForgeError(
            f"INT8 costs {report.drop:.4f} of the metric, and {tolerance} is allowed.",
            file=source,
            mend="calibrate with more images, allow more with --tolerance, or write it with "
            "--force",
        )
    facts = {key: value for key, value in report.as_json().items() if key != "file"}
    final = dataclasses.replace(quantised, built={**quantised.built, "int8": facts})
    with atomic_writer(target, "wb") as file:
        file.write(_with_card(content, final))
    write_card(target, final)
    return report


def foresee(dataset: Path, images: int) -> None:
    """Raise before a network is exported what `quantise` would raise after it.

    Raises:
        UsageError: a package is missing, or the data set.
        ForgeError: it has too few images.
    """
    _nncf()
    shares(find_cases([str(dataset)], id_from="path"), images, dataset)


def shares(cases: Sequence[Case], images: int, dataset: Path) -> tuple[list[Case], list[Case]]:
    """Images to calibrate with and other images to check on, each spread over all of them.

    Args:
        cases: in a fixed order.
        images: to calibrate with, at most half of them.
        dataset: where they are from, for messages.

    Raises:
        ForgeError: there is no image for one of the two.
    """
    if len(cases) < 2:
        raise ForgeError(
            "INT8 is calibrated on some images and checked on others, so it takes two at least. "
            f"Got: {len(cases)}",
            file=dataset,
            mend="name a larger data set with --check; a hundred images tell more",
        )
    chosen = _spread(len(cases), min(images, len(cases) // 2))
    others = [case for place, case in enumerate(cases) if place not in chosen]
    kept = _spread(len(others), min(len(others), images * CHECKED))
    return [cases[place] for place in sorted(chosen)], [others[place] for place in sorted(kept)]


def _spread(total: int, count: int) -> set[int]:
    """So many of the first `total` numbers, evenly apart."""
    return {place * total // count for place in range(count)}


def _nncf() -> types.ModuleType:
    from engines.openvino import silent_openvino

    # NNCF imports a part of PyTorch that warns where there is no CUDA, which is not needed here.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        silent_openvino()  # before NNCF, which would report as well
        import nncf
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"INT8 needs NNCF, onnx and onnxruntime, and one cannot be imported: {error}.",
            mend="pip install 'forgecli[train,int8]'",
        ) from error
    module: types.ModuleType = nncf
    return module


def _quantised(nncf: Any, source: Path, calibration: Calibration) -> bytes:
    """The quantised network as an ONNX file; at least one picture of the calibration can be read.

    Convolutions and matrix products become INT8, with a scale for each channel of the weights and
    one for the activations; the rest stays FP32. The range of activations is the widest of all
    pictures, not the mean of theirs as NNCF would have it: most pictures are authentic, and what
    lights up where a region is copied would be cut off.

    Raises:
        ForgeError: NNCF cannot quantise it.
    """
    import onnx

    model = onnx.load(source)
    name = model.graph.input[0].name
    count = len(calibration)
    kinds = {node.op_type for node in model.graph.node}
    widest = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    attention = bool(kinds & {"Softmax", "LayerNormalization"})
    nncf.common.logging.logger.disable_logging()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bar is no data
            made = nncf.quantize(
                model,
                nncf.Dataset(calibration, lambda array: {name: array}),
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=count,
                model_type=nncf.ModelType.TRANSFORMER if attention else None,
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=widest
                ),
            )
    except (RuntimeError, ValueError, nncf.errors.ValidationError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ForgeError(f"NNCF cannot quantise it: {first}", file=source) from error
    return bytes(made.SerializeToString())


def _with_card(content: bytes, card: Card) -> bytes:
    """An ONNX file with this card in its metadata."""
    import onnx

    model = onnx.load_from_string(content)
    kept = [entry for entry in model.metadata_props if entry.key != CARD_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card_text(card)
    return bytes(model.SerializeToString())


def _card_of_int8(card: Card, calibrated: int) -> Card:
    facts = {**card.built["onnx"], "precision": "int8"}
    return dataclasses.replace(card, built={**card.built, "onnx": facts,
                                            "int8": {"calibrated": calibrated}})  # fmt: skip


def _require_telling(exact: Verdicts, source: Path, force: bool) -> None:
    """Raise if nothing could be lost on these images."""
    if exact.flagged or force:
        return
    raise ForgeError(
        f"flags none of the {len(exact.scores)} images that INT8 is checked on, so a loss would "
        "not show.",
        file=source,
        mend="set its thresholds first with forge tune, or name a data set on which it flags "
        "something",
    )


def _compared(
    target: Path, calibrated: int, exact: Verdicts, quantised: Verdicts, tolerance: float
) -> Int8Report:
    lost = exact.scores - quantised.scores
    error = float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else 0.0
    drop = float(lost.mean())
    return Int8Report(
        file=target,
        calibrated=calibrated,
        checked=len(lost),
        fp32=float(exact.scores.mean()),
        int8=float(quantised.scores.mean()),
        drop=drop,
        standard_error=error,
        changed=int((lost != 0).sum()),
        tolerance=tolerance,
        accepted=drop < tolerance,
        speed=float(np.median(exact.seconds / quantised.seconds)),
    )
