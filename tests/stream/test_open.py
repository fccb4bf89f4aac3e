"""A checkpoint through the whole job on the GPU path, the GPU being the host."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from forgecli.cases.discover import discover
from forgecli.errors import ExitCode, ForgeError
from forgecli.predict import job
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import plan_rows
from forgecli.predict.settings import PredictSettings
from forgecli.segment.instances import probability_of
from forgecli.segment.maps import logits_of
from forgecli.segment.opening import open_engine
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.open import device_number, open_lanes
from forgecli.stream.pool import StreamPool
from kernels.cuda import cupy_device
from kernels.rle import annotation_from_text, decode
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.predict.fakes import Voice, Watch
from tests.segment.checkpoints import write_checkpoint
from tests.stream.test_pool import draw


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentPlan:
    """Random weights of a small network, with thresholds in the middle of what it says."""
    monkeypatch.setattr(cupy_device, "CupyDevice", lambda number: HostDevice())
    weights = write_checkpoint(
        tmp_path / "net.safetensors",
        preprocess=Preprocess(size=64),
        thresholds=Thresholds(quantile=0.9, gate=0.0, min_area=3),
    )
    plan = SegmentPlan.of(weights, SegmentSettings(device="cpu", batch=3))
    engine, _ = open_engine(weights)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    middle = probability_of(float(np.median(logits_of(noise, engine, plan.preprocess))))
    return replace(plan, thresholds=replace(plan.thresholds, pixel=middle))


def run(folder: Path, output: Path, plan: SegmentPlan, workers: int = 1, **options: object) -> int:
    from forgecli.predict.factories import make_segment

    settings = PredictSettings(output=output, threshold=plan.thresholds.gate, workers=workers)
    summary = job.run(
        plan_rows(discover([folder])),
        settings,
        partial(make_segment, plan),
        Outputs.of(settings),
        progress=Watch(),
        voice=Voice(),
        detector_settings={},
        **options,  # type: ignore[arg-type]
    )
    return summary.exit_code


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


@needs_compiler
def test_a_checkpoint_gives_what_it_gives_on_the_ordinary_path(
    tmp_path: Path, plan: SegmentPlan
) -> None:
    folder = tmp_path / "in"
    draw(folder)
    (folder / "bad.png").write_bytes(b"")
    assert run(folder, tmp_path / "a.csv", plan, 0) is ExitCode.SOME_INPUTS_FAILED
    pool = partial(StreamPool, plan=plan, streams=2, open_lanes=open_lanes)
    assert run(folder, tmp_path / "b.csv", plan, make_pool=pool) is ExitCode.SOME_INPUTS_FAILED
    one, two = rows(tmp_path / "a.details.csv"), rows(tmp_path / "b.details.csv")
    assert [row["case_id"] for row in one] == [row["case_id"] for row in two]
    for first, second in zip(one, two, strict=True):
        assert float(first["score"]) == pytest.approx(float(second["score"]), abs=1e-5)
        assert (first["status"], first["reason"]) == (second["status"], second["reason"])
    flagged = 0
    for first, second, detail in zip(
        rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv"), one, strict=True
    ):
        assert (first["annotation"] == "authentic") == (second["annotation"] == "authentic")
        if first["annotation"] != "authentic":
            flagged += 1
            shape = int(detail["height"]), int(detail["width"])
            masks = [
                np.any([decode(runs, shape) for runs in annotation_from_text(row["annotation"])], 0)
                for row in (first, second)
            ]
            # A network's sums depend on the batch: pixels at the threshold may differ.
            assert np.count_nonzero(masks[0] ^ masks[1]) <= max(1, masks[0].size // 1000)
    assert flagged >= 3


def test_a_checkpoint_that_does_not_load_is_an_error(tmp_path: Path, plan: SegmentPlan) -> None:
    plan.weights.write_bytes(b"nothing")
    draw(tmp_path / "in", [(40, 60)])
    pool = partial(StreamPool, plan=plan, streams=2, open_lanes=open_lanes)
    with pytest.raises(ForgeError, match="not a safetensors file"):
        run(tmp_path / "in", tmp_path / "s.csv", plan, make_pool=pool)
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:0", 0), ("cuda:3", 3)])
def test_the_number_of_a_gpu(device: str, number: int) -> None:
    assert device_number(device) == number
