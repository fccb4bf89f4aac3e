"""The peers find what forge finds: their slow ways and our fast ones give the same masks."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.limits import decode_only
from bench.peers import batches_of, good_annotation, notebook_runs
from bench.predict_data import FORMATS, KINDS, draw, drawings, picture, written
from bench.predict_rates import times_as_long
from bench.programs import Contender, Ran, run
from bench.views import files_of, pillow_rgb, shown
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.score.annotation import read_annotation
from forgecli.segment.checkpoint import Card
from forgecli.segment.instances import instances_of, score_of
from forgecli.segment.preprocess import Preprocess, to_input
from forgecli.segment.thresholds import Thresholds
from kernels.overlap import f1
from kernels.rle import decode, encode


def blobs(seed: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(size=(8, 10)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC) * 4 - 3


@pytest.mark.parametrize("seed", range(4))
def test_the_good_loop_finds_what_forge_finds(seed: int) -> None:
    logits = blobs(seed)
    limits = Thresholds(min_area=12, quantile=0.999, gate=0.5, instances="components")
    text = good_annotation(logits, logits.shape, Card("unet", thresholds=limits))
    theirs = sorted(map(area_of, read_annotation(text, logits.shape)))
    assert score_of(logits[None], limits) >= 0.5
    ours = [instance.runs for instance in instances_of(logits[None], limits)]
    assert theirs == sorted(map(area_of, ours))
    assert theirs
    for runs in read_annotation(text, logits.shape):
        assert max(f1(runs, other) for other in ours) == 1.0


def area_of(runs: np.ndarray) -> int:
    return int(np.asarray(runs)[:, 1].sum())


def test_a_silent_map_is_authentic() -> None:
    logits = np.full((40, 40), -1.0, np.float32)
    assert good_annotation(logits, (40, 40), Card("unet")) == "authentic"


def test_the_notebooks_loop_is_right() -> None:
    mask = (blobs(1) > 0).astype(np.uint8)
    runs = np.array(notebook_runs(mask)).reshape(-1, 2) - [1, 0]
    np.testing.assert_array_equal(decode(runs, mask.shape), mask.astype(bool))
    np.testing.assert_array_equal(runs, encode(mask.astype(bool)))


@pytest.mark.parametrize("form", FORMATS)
def test_peers_see_what_forge_sees(tmp_path: Path, form: str) -> None:
    noise = np.random.default_rng(0).normal(0, 4, (256, 256, 3)).astype(np.float32)
    drawing = next(iter(drawings(1)))
    small = type(drawing)(0, (300, 231), form, "few")
    file = tmp_path / f"x.{form.split()[0]}"
    written(file, form, picture(small, noise, np.random.default_rng(1)))
    ours, warnings = read_picture(Case("x", file))
    theirs = pillow_rgb(file)
    assert warnings == []
    np.testing.assert_array_equal(theirs, ours.pixels)
    for size in (128, 512):
        prepared = to_input(ours.pixels, Preprocess(size=size), 32)
        seen, view = shown(theirs, size)
        assert view == prepared.shape
        np.testing.assert_allclose(
            seen.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255), prepared.array
        )


def test_the_set_is_as_it_is_described() -> None:
    found = drawings(500)
    sizes = sorted(math.prod(each.shape) / 1e6 for each in found)
    assert 0.29 < sizes[0] < 0.32
    assert 0.8 < sizes[250] < 1.25
    assert 15.5 < sizes[-1] < 16.5
    assert {each.form for each in found} == set(FORMATS)
    assert {each.kind for each in found} == set(KINDS)
    assert any(side % 2 for each in found for side in each.shape)
    assert [each.shape for each in drawings(500)] == [each.shape for each in found]


def test_files_are_drawn_once(tmp_path: Path) -> None:
    files = draw(tmp_path, 2)
    before = [file.read_bytes() for file in files]
    files[0].unlink()
    assert [file.read_bytes() for file in draw(tmp_path, 2)] == before
    assert files_of(tmp_path) == files
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_batches_are_of_one_size(tmp_path: Path) -> None:
    for number, shape in enumerate(((64, 64), (64, 128), (64, 64), (64, 64))):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((*shape, 3), np.uint8))
    files = files_of(tmp_path)
    assert batches_of(files, 64, 2) == [[0, 2], [3], [1]]
    assert batches_of(files, 64, 1) == [[0], [1], [2], [3]]


@pytest.mark.slow
def test_decoding_alone_is_timed(tmp_path: Path) -> None:
    assert decode_only(draw(tmp_path, 2), 1) > 0


def test_a_program_is_timed_with_its_children() -> None:
    import sys

    code = (
        "import subprocess, sys, json\n"
        "subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])\n"
        "print('noise'); print(json.dumps({'loop': 2.5}))"
    )
    ran = run([sys.executable, "-c", code], {})
    assert ran.said == {"loop": 2.5}
    assert ran.cpu > 0.1
    with pytest.raises(SystemExit, match="ended with 7"):
        run([sys.executable, "-c", "raise SystemExit(7)"], {})


def test_the_start_is_told_from_the_rest() -> None:
    contender = Contender(["x"])
    contender.whole = [Ran(10.0, 8.0, {}), Ran(12.0, 9.0, {})]
    contender.one = [Ran(2.0, 1.0, {}), Ran(3.0, 1.5, {})]
    assert contender.seconds().wall == (10.0, 12.0)
    rest = contender.without_start()
    assert rest is not None
    assert rest.wall == (8.0, 9.0)
    contender.one[0] = Ran(9.5, 1.0, {})
    assert contender.without_start() is None, "too few files to tell"
    limit = Contender(["x"], limit=True)
    limit.whole = [Ran(10.0, 8.0, {"loop": 4.0})]
    assert limit.without_start() == limit.seconds()
    assert limit.seconds().wall == (4.0,)


def test_two_are_compared_both_without_the_start_or_both_with_it() -> None:
    def contender(whole: float, one: float) -> Contender:
        return Contender(["x"], whole=[Ran(whole, 1.0, {})], one=[Ran(one, 1.0, {})])

    versus, how = times_as_long(contender(10.0, 2.0), contender(5.0, 1.0))
    assert (versus.middle, how) == (2.0, "without the start")
    few = contender(5.0, 4.5)  # its start cannot be told from the rest
    for pair, expected in (((contender(10.0, 2.0), few), 2.0), ((few, contender(10.0, 2.0)), 0.5)):
        versus, how = times_as_long(*pair)
        assert (versus.middle, how) == (expected, "with the start")
