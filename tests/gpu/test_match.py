"""The whole match detector on a GPU against itself on the CPU.

What can be tested without one is in tests/match/test_compute.py.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from forgecli.detection import Picture
from forgecli.match.detector import MatchDetector
from forgecli.match.gpu import OnGpu
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from kernels.rle import decode
from tests.match.pictures import (
    Pixels,
    cells,
    clone,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)
from tests.match.test_compute import check_same

pytestmark = pytest.mark.gpu

SHAPE = (500, 700)


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        yield CupyDevice()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    disc = mask_of_disc(SHAPE, (150, 150), 60)
    maps = (
        similarity((150, 150), (500, 330), turn=35, scale=1.1),
        similarity((150, 150), (500, 330), turn=80, mirrored=True),
    )
    grounds = (tissue(SHAPE, 1), cells(SHAPE, 2, 300))
    forged = [photograph(clone(ground, disc, affine).grey, noise=1, seed=3)
              for ground, affine in zip(grounds, maps, strict=True)]  # fmt: skip
    return [*forged, photograph(tissue((333, 471), 4), noise=1)]


def test_a_search_finds_what_it_finds_on_the_cpu(gpu: Any, pictures: list[Pixels]) -> None:
    compute = OnGpu(gpu)
    for _ in range(2):  # the second time in memory that the first has used
        for pixels in pictures:
            check_same(search(pixels, MatchSettings(), compute), search(pixels, MatchSettings()))


def test_the_detector_says_the_same(gpu: Any, pictures: list[Pixels]) -> None:
    there, here = MatchDetector(compute=OnGpu(gpu)), MatchDetector()
    there.prepare()
    given = [Picture(str(number), pixels) for number, pixels in enumerate(pictures)]
    for ours, theirs in zip(there.detect(given), here.detect(given), strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=0.01)
        assert len(ours.instances) == len(theirs.instances)
        for one, other in zip(ours.instances, theirs.instances, strict=True):
            both = (decode(each.runs, ours.shape).astype(bool) for each in (one, other))
            assert overlap(*both) > 0.97
    there.close()


def test_the_program_with_workers_of_its_own(
    gpu: Any, pictures: list[Pixels], tmp_path: Path
) -> None:
    for number, pixels in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
    forge = (sys.executable, "-c", "from forgecli.app import main; main()")
    flagged = []
    for device in ("cuda:0", "cpu"):
        csv_file = f"{device[:3]}.csv"
        done = subprocess.run(
            [*forge, "predict", ".", "--device", device, "--workers", "2", "-o", csv_file],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("match: on cuda:0" in done.stderr) == (device == "cuda:0")
        with (tmp_path / csv_file).open() as file:
            flagged.append([row["annotation"] == "authentic" for row in csv.DictReader(file)])
    assert flagged[0] == flagged[1] and False in flagged[0]
