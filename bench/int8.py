"""INT8 of a trained network: whether it passes its gate, and how much faster it is.

    python -m bench.int8 [--minutes M] [--size PX] [--encoder NAME] [--images N] [--work DIR]
    python -m bench.int8 --model FILE.safetensors --data DATASET [--images N]

Random weights say little about what quantising costs: their maps hover about the threshold, where
a trained network is sure. And a network that was trained for copies for minutes flags nothing, so
no loss could show. Without `--model`, the bench draws pictures whose marked regions anyone can see
(a patch with stripes among cells), trains a U-Net on them by `forge train`, sets its thresholds on
other pictures by `forge tune`, exports it by `forge build-engine`, and quantises it as that command
does, judged on pictures that nothing of this has seen. It is a gauge of the arithmetic, not of
finding copies.

With `--model` the network is yours, with its thresholds, and the labelled images are those of
`--data`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.machine import arguments, table, write_results
from forgecli.doctor.packages import installed

FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]
LIBRARIES = ("openvino", "nncf", "torch", "segmentation-models-pytorch")
SIDE = 224
"""Pixels of a drawn picture's side."""


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
    """Train a U-Net on drawn pictures and tune it on others; the checkpoint."""
    run = work / "run"
    forge("train", "--data", draw(work / "training", 200, seed), "--model", "unet",
          "--encoder", encoder, "--encoder-weights", "none", "--size", size, "--minutes", minutes,
          "--epochs", 1000, "--device", "cpu", "-o", run, "--overwrite")  # fmt: skip
    checkpoint = run / "best.safetensors"
    forge("tune", draw(work / "tuning", 80, seed + 1), "--model", checkpoint)
    return checkpoint


def forge(*words: object) -> None:
    """Run a command of forge, as a user types it; ends the bench if it fails."""
    done = subprocess.run([*FORGE, *map(str, words)], capture_output=True, text=True, check=False)
    print(done.stderr, file=sys.stderr, end="", flush=True)
    if done.returncode:
        sys.exit(f"forge {words[0]} ended with {done.returncode}")


def main() -> None:
    """Train if need be, quantise, print, write."""
    from forgecli.build.int8 import quantise
    from forgecli.segment.checkpoint import read_card

    parser = arguments(__doc__, "int8")
    parser.add_argument("--model", type=Path, metavar="FILE.safetensors")
    parser.add_argument("--data", type=Path, metavar="DATASET", help="labelled images for --model")
    parser.add_argument("--minutes", type=float, default=12.0, help="of training")
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's view")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--images", type=int, default=24, help="to calibrate with")
    parser.add_argument("--tolerance", type=float, default=0.01)
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
        report = quantise(
            source, data, exported / f"{checkpoint.stem}.int8.onnx", images=asked.images,
            tolerance=asked.tolerance, force=True, note=_say,
        )  # fmt: skip
        card = read_card(checkpoint)
        said: dict[str, Any] = {key: value for key, value in report.as_json().items()
                                if key != "file"}  # fmt: skip
    verdict = "passed" if report.accepted else "refused"
    row = [card.model, str(card.arguments.get("encoder", "")), f"{report.fp32:.4f}",
           f"{report.int8:.4f}", f"{report.drop:+.4f} ({report.standard_error:.4f})",
           str(report.checked), str(report.changed), f"{report.speed:.2f}", verdict]  # fmt: skip
    print(table(HEADER, [row]))
    write_results(
        asked.json,
        {
            "libraries": {name: found for name in LIBRARIES if (found := installed(name))},
            "network": {"model": card.model, "arguments": card.arguments,
                        "size": card.preprocess.size, "drawn": asked.model is None,
                        "minutes": asked.minutes if asked.model is None else None},
            "report": said,
        },
    )  # fmt: skip


HEADER = ("network", "encoder", "FP32", "INT8", "drop (s.e.)", "images", "changed",
          "times as fast", "gate")  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
