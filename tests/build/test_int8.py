"""Quantised networks: that they find the same, and that one that does not is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engines.openvino import OpenVinoEngine, precisions
from forgecli.build import int8
from forgecli.build.calibration import Calibration
from forgecli.build.int8 import quantise
from forgecli.build.int8_report import Int8Report
from forgecli.build.quantising import quantised_bytes
from forgecli.build.shares import CHECKED, shares
from forgecli.build.verdicts import Verdicts
from forgecli.detection import Case
from forgecli.errors import ForgeError, UsageError
from forgecli.score.dataset_truth import find_cases
from forgecli.segment.checkpoint import read_card
from forgecli.segment.onnx_file import card_inside, metadata, spec_of
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from tests.segment.onnx_files import exported_card, onnx_bytes
from tests.tune.red_dataset import write_dataset

pytestmark = pytest.mark.skipif("int8" not in precisions(), reason="this processor has no INT8")

SEEN = Preprocess("tile", 64)
SURE = Thresholds(0.5, quantile=1.0, gate=0.5)


def red_onnx(file: Path, *, blur: float = 0.0, thresholds: Thresholds = SURE) -> Path:
    """Logits 12 (red - blue) - 3 over the pixel, or over all nine around it."""
    weights = np.full((1, 3, 3, 3), blur, np.float32)
    weights[:, :, 1, 1] = 1
    weights *= np.array([12, 0, -12], np.float32)[:, None, None] / weights[0, 0].sum()
    card = exported_card(preprocess=SEEN, thresholds=thresholds, metrics={"dice": 0.5})
    entries = {"author": "somebody"}
    file.write_bytes(onnx_bytes(card, weights=weights, bias=-3, metadata=entries))
    return file


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, 12)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def quantised(source: Path, dataset: Path, **options: Any) -> tuple[Int8Report, list[str]]:
    said: list[str] = []
    options = {"images": 6, "tolerance": 0.01, "force": False, **options}
    target = source.with_suffix(".int8.onnx")
    return quantise(source, dataset, target, note=said.append, **options), said


def test_a_network_that_stays_as_good_is_written(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = red_onnx(tmp_path / "a.onnx")
    report, said = quantised(source, dataset)
    assert report.accepted and report.drop < 0.01 and report.fp32 > 0.6
    assert (report.calibrated, report.checked) == (6, 18)
    assert report.drop == pytest.approx(report.fp32 - report.int8)
    assert said[0] == "calibrating INT8 on 6 images" and said[-1] == str(report)
    assert capsys.readouterr().out == "", "stdout is for data"
    json.dumps(report.as_json(), allow_nan=False)

    card = card_inside(report.file)
    assert read_card(report.file) == card and metadata(report.file)["author"] == "somebody"
    assert card.built["onnx"] == {**exported_card().built["onnx"], "precision": "int8"}
    assert card.built["int8"]["int8"] == report.int8
    assert replace(card, built={}) == replace(card_inside(source), built={})
    kinds = [node.op_type for node in onnx.load(report.file).graph.node]
    assert "QuantizeLinear" in kinds

    plan = SegmentPlan.of(report.file, SegmentSettings())
    assert str(plan) == "simple-cnn on cpu, int8, with OpenVINO"
    engine = OpenVinoEngine(report.file, spec_of(card, report.file), precision="int8", threads=1)
    exact = OpenVinoEngine(source, spec_of(card_inside(source), source), threads=1)
    cases = find_cases([str(dataset)], id_from="path")
    for batch in Calibration(cases[-4:], exact.spec, SEEN):
        apart = np.abs(engine.infer(batch) - exact.infer(batch))
        assert 0 < apart.max() < 0.5, "it is another network, and nearly the same"


def test_a_network_that_gets_worse_is_refused_unless_forced(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = red_onnx(tmp_path / "a.onnx")

    def damaged(nncf: Any, file: Path, calibration: Calibration) -> bytes:
        deaf = red_onnx(tmp_path / "deaf.onnx")
        model = onnx.load(deaf)
        model.graph.initializer[1].CopyFrom(
            onnx.numpy_helper.from_array(np.float32([-9]), model.graph.initializer[1].name)
        )
        assert quantised_bytes(nncf, file, calibration)
        return bytes(model.SerializeToString())

    monkeypatch.setattr(int8, "quantised_bytes", damaged)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ForgeError, match=r"INT8 costs 0\.\d+ of the metric, and 0.01 is") as raised:
        quantised(source, dataset)
    assert "--force" in raised.value.mend
    assert sorted(set(tmp_path.iterdir()) - {tmp_path / "deaf.onnx", tmp_path / "cache"}) == before
    forced, _ = quantised(source, dataset, force=True)
    assert forced.file.exists() and not forced.accepted and forced.drop > 0.1
    assert read_card(forced.file).built["int8"]["accepted"] is False
    allowed, _ = quantised(source, dataset, tolerance=1.0)
    assert allowed.accepted and allowed.changed > 0 and allowed.standard_error > 0


def test_a_network_that_flags_nothing_cannot_be_judged(tmp_path: Path, dataset: Path) -> None:
    source = red_onnx(tmp_path / "a.onnx", thresholds=replace(SURE, gate=1.0))
    with pytest.raises(ForgeError, match="flags none of the 18 images") as raised:
        quantised(source, dataset)
    assert "forge tune" in raised.value.mend


def test_only_full_precision_is_quantised(tmp_path: Path, dataset: Path) -> None:
    source = tmp_path / "a.onnx"
    source.write_bytes(onnx_bytes(exported_card({"precision": "fp16"}, preprocess=SEEN)))
    with pytest.raises(UsageError, match="is fp16; only FP32"):
        quantised(source, dataset)


def test_what_is_missing_is_named(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = red_onnx(tmp_path / "a.onnx")
    with pytest.raises(UsageError):
        quantised(source, tmp_path / "nowhere")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UsageError, match="NNCF") as raised:
        quantised(source, dataset)
    assert "forgecli[train,int8]" in raised.value.mend


@pytest.mark.parametrize(
    ("total", "images", "calibrating", "checking"),
    [(2, 5, 1, 1), (24, 6, 6, 18), (24, 1, 1, CHECKED), (1000, 10, 10, 80), (7, 100, 3, 4)],
)
def test_what_calibrates_does_not_check(
    total: int, images: int, calibrating: int, checking: int
) -> None:
    cases = [Case(f"{number:04}", Path(f"{number:04}.png")) for number in range(total)]
    some, others = shares(cases, images, Path("data"))
    assert (len(some), len(others)) == (calibrating, checking)
    assert not {case.case_id for case in some} & {case.case_id for case in others}
    if total >= 100:
        assert int(some[-1].case_id) > total * 0.8 and int(others[-1].case_id) > total * 0.8
    with pytest.raises(ForgeError, match=r"two at least\. Got: 1") as raised:
        shares(cases[:1], 1, Path("data"))
    assert raised.value.file == Path("data") and "--check" in raised.value.mend


def test_calibration_is_what_the_network_sees(tmp_path: Path, dataset: Path) -> None:
    cases = find_cases([str(dataset)], id_from="path")[:3]
    source = red_onnx(tmp_path / "a.onnx")
    spec = spec_of(card_inside(source), source)
    whole = list(Calibration(cases, spec, Preprocess("resize", 96)))
    assert [array.shape for array in whole] == [(1, 3, 96, 96)] * 3
    tiles = Calibration(cases, spec, Preprocess("tile", 32, 0.0))
    assert len(tiles) == 12, "four of each"
    first, again = list(tiles), list(tiles)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    (tmp_path / "bad.png").write_bytes(b"junk")
    bad = [Case("bad", tmp_path / "bad.png")]
    assert list(Calibration(bad, spec, SEEN)) == []
    with pytest.raises(ForgeError, match="none of the 1 images to compare on") as raised:
        Verdicts.of(source, bad, dataset)
    assert raised.value.file == dataset and "forge inspect" in raised.value.mend


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", 2)
    for image in (tmp_path / "d/train_images").glob("*/*.png"):
        image.write_bytes(b"rubbish")
    with pytest.raises(ForgeError, match="none of the 2 images to calibrate with") as raised:
        quantised(red_onnx(tmp_path / "a.onnx"), tmp_path / "d")
    assert raised.value.file == tmp_path / "d" and "forge inspect" in raised.value.mend
