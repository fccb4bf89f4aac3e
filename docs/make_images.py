"""Make the pictures of README.md: overlays of example figures, by the program itself.

    python docs/make_images.py

They are what `forge predict --overlays` writes, compressed harder and without loss.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "examples" / "figures"
SHOWN = ("cell_copied", "panels_overlapping")
FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]
SMALLEST = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]


def main() -> None:
    """Run the program and keep its overlays."""
    with tempfile.TemporaryDirectory() as folder:
        overlays = Path(folder) / "overlays"
        figures = [str(FIGURES / f"{name}.png") for name in SHOWN]
        output = ["-o", str(Path(folder) / "submission.csv"), "--overlays", str(overlays)]
        subprocess.run([*FORGE, "predict", *figures, *output], check=True)  # noqa: S603
        (HERE / "images").mkdir(exist_ok=True)
        for name in SHOWN:
            picture = cv2.imread(str(overlays / f"{name}.png"))
            if picture is None:
                sys.exit(f"{name} is not flagged: there is no overlay to show")
            cv2.imwrite(str(HERE / "images" / f"{name}.png"), picture, SMALLEST)


if __name__ == "__main__":
    main()
