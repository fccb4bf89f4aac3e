"""One process with asynchronous requests finds what the ordinary path finds, in any number."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import predict
from bench.asynchronous import asynchronous
from bench.int8 import draw
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.score.dataset_truth import find_cases
from forgecli.segment.checkpoint import Card, write_card
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.onnx_file import read_onnx_card
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from kernels.rle import annotation_to_text
from tests.segment.onnx_files import write_onnx

SEEN = Thresholds(pixel=0.5, min_area=4, quantile=0.99, gate=0.5, instances="components")


@pytest.mark.parametrize("count", [1, 3, 11])
def test_the_rows_of_the_ordinary_path(tmp_path: Path, count: int) -> None:
    onnx = write_onnx(tmp_path / "a.onnx", preprocess=Preprocess("resize", 64), thresholds=SEEN)
    files = []
    for number in range(count):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 60, (40 + 7 * number, 90 - 3 * number, 3), np.uint8)
        for _ in range(number % 4):
            at = int(rng.integers(image.shape[1])), int(rng.integers(image.shape[0]))
            cv2.circle(image, at, 9, (255, 255, 255), -1)
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), image)

    detector = SegmentDetector(SegmentPlan.of(onnx, SegmentSettings(device="cpu")))
    detector.prepare()
    expected = {}
    for file in files:
        (found,) = detector.detect([read_picture(Case(file.stem, file))[0]])
        runs = [instance.runs for instance in found.instances]
        expected[file.stem] = annotation_to_text(runs) if runs else "authentic"
    detector.close()

    rows = asynchronous(read_onnx_card(onnx), onnx, files, threads=2)
    assert next(rows) == ("", "")
    assert dict(rows) == expected
    if count > 2:
        assert len({text == "authentic" for text in expected.values()}) == 2


def test_a_network_that_sees_tiles_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = write_onnx(tmp_path / "a.onnx", preprocess=Preprocess("tile", 64), thresholds=SEEN)
    with pytest.raises(SystemExit, match="view is 'tile'"):
        next(asynchronous(read_onnx_card(onnx), onnx, [], threads=1))
    weights = tmp_path / "a.safetensors"
    write_card(weights, Card("unet", preprocess=Preprocess("tile", 64)))
    monkeypatch.setattr(sys, "argv", ["bench.predict", "--model", str(weights)])
    monkeypatch.setattr(predict, "draw", None)  # before anything is drawn
    with pytest.raises(SystemExit, match="view is 'tile'"):
        predict.main()


def test_drawn_pictures_are_a_data_set(tmp_path: Path) -> None:
    cases = find_cases([str(draw(tmp_path, 4, seed=1))], id_from="path")
    assert sorted(case.mask is not None for case in cases) == [False, False, True, True]
    masks = [np.load(case.mask) for case in cases if case.mask]
    assert all(mask.shape[0] == 1 and 0.01 < mask.mean() < 0.2 for mask in masks)
