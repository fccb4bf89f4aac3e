"""The network of `bench.predict` in its forms: a user's own, exported, quantised."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.predict_data import draw
from bench.predict_programs import Stage
from bench.programs import forge, run, say
from bench.views import files_of
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import card_file

INT8_TOLERANCE = 0.01
"""How much lower the score of INT8 against FP32 may be than 1."""


def borrowed(model: Path, work: Path) -> Path:
    """A copy of a user's checkpoint, so that nothing is written beside theirs."""
    for file in (model, card_file(model)):
        if not file.is_file():
            sys.exit(f"{file}: there is no such file; a checkpoint is a .safetensors and its .json")
        (work / file.name).write_bytes(file.read_bytes())
    return work / model.name


def export(checkpoint: Path) -> None:
    """Write the .onnx beside the checkpoint, by the program."""
    forge("build-engine", checkpoint, "--onnx-only", "--precision", "fp32", "--overwrite")


def quantised(stage: Stage, images: int, labelled: Path | None) -> tuple[Path | None, str]:
    """The network in INT8, as `forge build-engine` makes it; None and why if its gate refuses it.

    Args:
        images: half of them to calibrate with; of drawn files the other half is judged on.
        labelled: images with masks to calibrate with and judge on. None: drawn files of another
            seed, and what the network finds there in FP32 is taken for the truth, for one of random
            weights has no other; the gate then asks how well INT8 repeats it.
    """
    from forgecli.build.int8 import quantise

    dataset = labelled or _as_it_finds_them(stage, images)
    target = stage.onnx.with_name(f"{stage.onnx.stem}.int8.onnx")
    try:
        quantise(stage.onnx, dataset, target, images=images // 2, tolerance=INT8_TOLERANCE,
                 note=say)  # fmt: skip
    except ForgeError as error:  # the bench goes on without it
        return None, error.what
    return target, ""


def _as_it_finds_them(stage: Stage, images: int) -> Path:
    """A data set of drawn files whose masks are what the network flags."""
    dataset = stage.work / "calibration"
    folder = dataset / "train_images" / "forged"
    draw(folder, images, seed=4711)
    flagged = stage.work / "calibration.csv"
    run([*stage.ours(stage.onnx), folder, "-o", flagged, "--masks", dataset / "train_masks"],
        stage.environment)  # fmt: skip
    authentic = dataset / "train_images" / "authentic"
    authentic.mkdir(exist_ok=True)
    for file in files_of(folder):
        if not (dataset / "train_masks" / f"{file.stem}.npy").exists():
            file.rename(authentic / file.name)
    return dataset
