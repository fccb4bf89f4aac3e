"""INT8 of a trained network: whether it passes its gate, and how much faster it is.

    python -m bench.int8 [--minutes M] [--size PX] [--encoder NAME] [--images N] [--rounds N]
        [--work DIR]
    python -m bench.int8 --model FILE.safetensors --data DATASET [--images N] [--rounds N]

Random weights say little about what quantising costs: their maps hover about the threshold, where
a trained network is sure. And a network that was trained for copies for minutes flags nothing, so
no loss could show. Without `--model`, the bench draws pictures whose marked regions anyone can see
(a patch with stripes among cells), trains a U-Net on them by `forge train`, sets its thresholds on
other pictures by `forge tune`, exports it by `forge build-engine`, and quantises it as that command
does, judged on pictures that nothing of this has seen. It is a gauge of the arithmetic, not of
finding copies. With `--work` the network is kept, and taken the next time.

How many times as fast INT8 is comes from pictures that both networks look at in turn, round by
round, with all cores or as many threads as OMP_NUM_THREADS says: the median of the rounds' ratios,
with its quartiles. It is of a detector: preparing, the network, and what follows, decoding aside.
What the command itself says of the speed is of the network alone, one pass of each, one after the
other, and good for a glance.

With `--model` the network is yours, with its thresholds, and the labelled images are those of
`--data`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.machine import Ratio, arguments, paired, ratio, table, write_results
from bench.programs import forge, say
from forgecli.build.labelled import labelled
from forgecli.cases.decode import read_picture
from forgecli.cores import threads_here
from forgecli.detection import Case
from forgecli.doctor.packages import installed
from forgecli.segment.checkpoint import Card, read_card
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.settings import SegmentSettings

LIBRARIES = ("openvino", "nncf", "torch", "segmentation-models-pytorch")
SIDE = 224
"""Pixels of a drawn picture's side."""
TIMED = 8
"""Pictures of a turn of the timing, half of them with something to find if the data set has it."""


def draw(folder: Path, count: int, seed: int) -> Path:
    """A data set of so many pictures, every second one with a marked patch.

    Args:
        folder: ``train_images/{authentic,forged}/N.png`` and ``train_masks/N.npy``, uint8
            (1, H, W), go below it.
        count: of the pictures.
        seed: other seeds, other pictures.
    """
    for kind in ("authentic", "forged"):
        (folder / "train_images" / kind).mkdir(parents=True, exist_ok=True)
    (folder / "train_masks").mkdir(exist_ok=True)
    for number in range(count):
        marked = number % 2 == 1
        pixels, mask = picture(np.random.default_rng([seed, number]), marked=marked)
        kind = "forged" if marked else "authentic"
        cv2.imwrite(str(folder / "train_images" / kind / f"{number}.png"), pixels)
        if marked:
            np.save(folder / "train_masks" / f"{number}.npy", mask[None])
    return folder


def picture(
    rng: np.random.Generator, *, marked: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cells on a noisy ground, uint8 (H, W, 3), and where the striped patch is, uint8 (H, W)."""
    image = np.full((SIDE, SIDE), rng.uniform(150, 210), np.float32)
    for _ in range(int(rng.integers(4, 14))):
        at = int(rng.integers(SIDE)), int(rng.integers(SIDE))
        axes = int(rng.integers(6, 20)), int(rng.integers(6, 20))
        cv2.ellipse(image, at, axes, float(rng.uniform(0, 180)), 0, 360, rng.uniform(60, 140), -1,
                    cv2.LINE_AA)  # fmt: skip
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if marked:
        at = int(rng.integers(40, SIDE - 40)), int(rng.integers(40, SIDE - 40))
        axes = int(rng.integers(16, 40)), int(rng.integers(16, 40))
        cv2.ellipse(mask, at, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        y, x = np.mgrid[:SIDE, :SIDE]
        turn, wave = rng.uniform(0, np.pi), rng.uniform(5, 9)
        stripes = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / wave)
        image = np.where(mask == 1, image + 28 * stripes, image)
    grey = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2), mask


def trained(work: Path, encoder: str, size: int, minutes: float, seed: int = 1) -> Path:
    """Train a U-Net on drawn pictures and tune it on others; the checkpoint.

    One that is there already is taken; the bench ends if it was asked for otherwise.
    """
    run = work / "run"
    checkpoint = run / "best.safetensors"
    if checkpoint.exists() and (card := read_card(checkpoint)).tuning:
        asked = ("unet", encoder, size, minutes)
        if asked != _trained_as(card):
            sys.exit(f"{checkpoint} is of another training: {_trained_as(card)}, and {asked} was "
                     "asked for. Name another folder with --work")  # fmt: skip
        say(f"{checkpoint} is there already: it is taken")
        return checkpoint
    forge("train", "--data", draw(work / "training", 200, seed), "--model", "unet",
          "--encoder", encoder, "--encoder-weights", "none", "--size", size, "--minutes", minutes,
          "--epochs", 1000, "--device", "cpu", "-o", run, "--overwrite")  # fmt: skip
    forge("tune", draw(work / "tuning", 80, seed + 1), "--model", checkpoint)
    return checkpoint


def _trained_as(card: Card) -> tuple[str, object, int, object]:
    """Network, encoder, pixels and minutes of a training."""
    minutes = card.training.get("loop", {}).get("minutes")
    return card.model, card.arguments.get("encoder"), card.preprocess.size, minutes


def in_turn(exact: Path, quantised: Path, cases: Sequence[Case], rounds: int) -> Ratio:
    """How many times as long the exact network takes for pictures as the quantised one.

    Args:
        exact, quantised: ONNX files with their cards.
        cases: the pictures, decoded before.
        rounds: see `bench.machine.paired`.
    """
    pictures = [read_picture(case)[0] for case in cases]
    turns = {}
    with ExitStack() as opened:
        for model in (exact, quantised):
            detector = SegmentDetector(SegmentPlan.of(model, SegmentSettings(device="cpu")))
            opened.callback(detector.close)
            detector.prepare()
            turns[str(model)] = partial(detector.detect, pictures)
        times = paired(turns, rounds=rounds)
    return ratio(times[str(exact)], times[str(quantised)])


def main() -> None:
    """Train if need be, quantise, print, write."""
    from forgecli.build.int8 import quantise

    parser = arguments(__doc__, "int8")
    parser.add_argument("--model", type=Path, metavar="FILE.safetensors")
    parser.add_argument("--data", type=Path, metavar="DATASET", help="labelled images for --model")
    parser.add_argument("--minutes", type=float, default=12.0, help="of training")
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's view")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--images", type=int, default=24, help="to calibrate with")
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=9, help="of the timing")
    parser.add_argument("--work", type=Path, help="keep data and networks here")
    asked = parser.parse_args()
    if (asked.model is None) != (asked.data is None):
        parser.error("--model and --data go together")
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        checkpoint = asked.model or trained(work, asked.encoder, asked.size, asked.minutes)
        data = asked.data or draw(work / "judging", 240, 3)
        exported = work / "exported"
        forge("build-engine", checkpoint, "--onnx-only", "--precision", "fp32", "-o", exported,
              "--overwrite")  # fmt: skip
        source = exported / f"{checkpoint.stem}.onnx"
        quantised = exported / f"{checkpoint.stem}.int8.onnx"
        report = quantise(
            source, data, quantised, images=asked.images,
            tolerance=asked.tolerance, force=True, note=say,
        )  # fmt: skip
        shown = labelled(data, TIMED)
        faster = in_turn(source, quantised, shown, asked.rounds)
        card = read_card(checkpoint)
        said: dict[str, Any] = {key: value for key, value in report.as_json().items()
                                if key != "file"}  # fmt: skip
    verdict = "passed" if report.accepted else "refused"
    row = [card.model, str(card.arguments.get("encoder", "")), f"{report.fp32:.4f}",
           f"{report.int8:.4f}", f"{report.drop:+.4f} ({report.standard_error:.4f})",
           str(report.checked), str(report.changed), str(faster), verdict]  # fmt: skip
    print(table(HEADER, [row]))
    write_results(
        asked.json,
        {
            "libraries": {name: found for name in LIBRARIES if (found := installed(name))},
            "network": {"model": card.model, "arguments": card.arguments,
                        "size": card.preprocess.size, "drawn": asked.model is None,
                        "minutes": card.training.get("loop", {}).get("minutes")},
            "report": said,
            "times_as_fast_in_turn": [faster.low, faster.middle, faster.high],
            "rounds": asked.rounds,
            "threads": threads_here(),
        },
    )  # fmt: skip


HEADER = ("network", "encoder", "FP32", "INT8", "drop (s.e.)", "images", "changed",
          "times as fast", "gate")  # fmt: skip


if __name__ == "__main__":
    main()
