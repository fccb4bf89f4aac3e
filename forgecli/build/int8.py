"""INT8: a quantised network, taken only if it finds what the exact one finds."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from forgecli.atomic import atomic_writer
from forgecli.build.calibration import Calibration
from forgecli.build.int8_report import Int8Report, compared
from forgecli.build.quantising import load_nncf, quantised_bytes
from forgecli.build.shares import shares
from forgecli.build.verdicts import Verdicts
from forgecli.errors import ForgeError, UsageError
from forgecli.score.dataset_truth import find_cases
from forgecli.segment.checkpoint import Card, card_text, write_card
from forgecli.segment.onnx_file import CARD_KEY, read_onnx_card, spec_of

Note = Callable[[str], None]


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
    card = read_onnx_card(source)
    spec = spec_of(card, source)
    if spec.precision != "fp32":
        raise UsageError(
            f"is {spec.precision}; only FP32 is quantised.",
            file=source,
            mend="export the checkpoint with forge build-engine --onnx-only",
        )
    nncf = load_nncf()
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
    content = quantised_bytes(nncf, source, seen)
    quantised = _card_of_int8(card, len(calibrating))
    note(f"comparing INT8 with FP32 on {len(checking)} other images")
    exact = Verdicts.of(source, checking, dataset)
    _require_telling(exact, source, force)
    with tempfile.TemporaryDirectory(prefix="forge-int8-") as folder:
        draft = Path(folder) / target.name
        draft.write_bytes(_with_card(content, quantised))
        found = Verdicts.of(draft, checking, dataset)
        report = compared(target, len(calibrating), exact, found, tolerance)
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
    load_nncf()
    shares(find_cases([str(dataset)], id_from="path"), images, dataset)


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
