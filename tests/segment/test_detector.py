"""The learned detector: from its checkpoint to detections."""

from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch

from forgecli.detection import Picture
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.maps import NotFinite
from forgecli.segment.opening import open_engine
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from kernels.rle import decode
from tests.segment.checkpoints import write_checkpoint
from tests.segment.fake_engine import FakeEngine, constant

torch.set_num_threads(1)

CPU = SegmentSettings(device="cpu")
SEEN = Preprocess("tile", 64)


def plan(thresholds: Thresholds | None = None, preprocess: Preprocess = SEEN) -> SegmentPlan:
    return SegmentPlan(
        weights=Path("none.safetensors"), sha256="0", model="fake", arguments={}, engine="torch",
        device="cpu", precision="fp32", tta="none", batch=2, preprocess=preprocess,
        thresholds=thresholds or Thresholds(),
    )  # fmt: skip


def brightness(images: np.ndarray) -> np.ndarray:
    """Logit -4 for black, 4 for white."""
    return images[:, :1] * 8 - 4


def spots(shape: tuple[int, int] = (50, 90)) -> Picture:
    """White squares of 100 and of 36 pixels on black."""
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[5:15, 10:20] = 255
    pixels[30:36, 70:76] = 255
    return Picture("spots", pixels)


def test_what_is_bright_is_outlined() -> None:
    detector = SegmentDetector(plan(Thresholds(0.9, quantile=1.0)), FakeEngine(brightness))
    detector.prepare()
    picture = spots()
    (found,) = detector.detect([picture])
    (instance,) = found.instances
    assert np.array_equal(decode(instance.runs, found.shape), picture.pixels[:, :, 0] > 0)
    assert [int(runs[:, 1].sum()) for runs in instance.regions] == [100, 36]
    assert found.case_id == "spots" and found.shape == (50, 90) and found.found_by == "segment"
    assert found.score == pytest.approx(1 / (1 + np.exp(-4)))
    assert found.evidence == () and set(found.seconds) == {"network", "instances"}


def test_thresholds_are_heeded() -> None:
    picture = spots()

    def found(**asked: object) -> list[int]:
        thresholds = replace(Thresholds(0.9, quantile=1.0), **asked)  # type: ignore[arg-type]
        detector = SegmentDetector(plan(thresholds), FakeEngine(brightness))
        (detection,) = detector.detect([picture])
        return [int(instance.runs[:, 1].sum()) for instance in detection.instances]

    assert found() == [136]
    assert found(min_area=37) == [100]
    assert found(instances="components") == [100, 36]
    assert found(pixel=0.99) == []
    assert found(gate=0.99) == [], "under its gate nothing is outlined"
    assert found(gate=1.0, pixel=0.0) == []
    # Of 4,500 pixels 136 are bright: 97 % are dark.
    assert found(quantile=0.96) == [] and found(quantile=0.98) == [136]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1, 200), (300, 2)])
def test_every_picture_has_one_detection(shape: tuple[int, int]) -> None:
    detector = SegmentDetector(plan(), FakeEngine(constant(3.0)))
    pictures = [Picture(str(n), np.zeros((*shape, 3), np.uint8)) for n in range(2)]
    found = detector.detect(pictures)
    assert [d.case_id for d in found] == ["0", "1"] and {d.shape for d in found} == {shape}
    assert all(bool(d.instances) == (min(shape) > 0) for d in found)


def test_what_is_no_number_is_an_error_and_not_authentic() -> None:
    detector = SegmentDetector(plan(), FakeEngine(constant(float("nan"))))
    with pytest.raises(NotFinite):
        detector.detect([spots()])


def test_a_checkpoint_from_disk(tmp_path: Path) -> None:
    # The plan goes to a worker, which is another process.
    weights = write_checkpoint(tmp_path / "a.safetensors", preprocess=Preprocess(size=64),
                               thresholds=Thresholds(0.0, gate=0.0))  # fmt: skip
    settled = ForkingPickler.loads(ForkingPickler.dumps(SegmentPlan.of(weights, CPU)))
    detector = SegmentDetector(settled)
    detector.prepare()
    (found,) = detector.detect([spots()])
    assert int(found.instances[0].runs[:, 1].sum()) == 50 * 90, "pixel 0: all of it"
    assert 0.3 < found.score < 0.7, "random weights know nothing"
    (again,) = SegmentDetector(settled).detect([spots()])
    assert again.score == found.score
    detector.close()


def test_the_user_overrides_the_checkpoint(tmp_path: Path) -> None:
    weights = write_checkpoint(
        tmp_path / "a.safetensors",
        preprocess=Preprocess("tile", 64, 0.5),
        thresholds=Thresholds(0.3, 7, 0.9, 0.6, "components", 0.8),
    )
    left = SegmentPlan.of(weights, CPU)
    assert left.thresholds == Thresholds(0.3, 7, 0.9, 0.6, "components", 0.8)
    assert left.preprocess == Preprocess("tile", 64, 0.5)
    asked = SegmentSettings(
        device="cpu", pixel=0.0, min_area=0, quantile=1.0, gate=0.1, instances="merged",
        fused_gate=0.0, view="resize", size=128, overlap=0.0, tta="d4", batch=3, precision="bf16",
    )  # fmt: skip
    given = SegmentPlan.of(weights.with_suffix(".json"), asked)
    assert given.thresholds == Thresholds(0.0, 0, 1.0, 0.1, "merged", 0.0), "0 is a value"
    assert given.preprocess == Preprocess("resize", 128, 0.0)
    assert (given.tta, given.batch, given.precision) == ("d4", 3, "bf16")


def test_the_record_follows_the_weights_and_not_their_place(tmp_path: Path) -> None:
    one = SegmentPlan.of(write_checkpoint(tmp_path / "a.safetensors"), CPU).as_record()
    same = SegmentPlan.of(write_checkpoint(tmp_path / "b.safetensors"), CPU).as_record()
    other = SegmentPlan.of(write_checkpoint(tmp_path / "c.safetensors", seed=1), CPU).as_record()
    assert json.loads(json.dumps(one)) == one, "plain values"
    assert one == same and one["sha256"] != other["sha256"] and len(one["sha256"]) == 64
    tuned = write_checkpoint(tmp_path / "d.safetensors", thresholds=Thresholds(0.4))
    assert SegmentPlan.of(tuned, CPU).as_record() != one


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.safetensors", "no such checkpoint"),
        ("a.pt", "is not a checkpoint"),
        ("cardless.safetensors", "two files"),
        ("weightless.json", "two files"),
    ],
)
def test_missing_files_are_wrong_use(tmp_path: Path, name: str, said: str) -> None:
    write_checkpoint(tmp_path / "cardless.safetensors")
    (tmp_path / "cardless.json").unlink()
    write_checkpoint(tmp_path / "weightless.safetensors").unlink()
    with pytest.raises(UsageError) as raised:
        SegmentPlan.of(tmp_path / name, CPU)
    assert said in raised.value.what + raised.value.mend


def test_what_cannot_work_is_said_at_the_start(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "a.safetensors", preprocess=Preprocess(ela=True))
    with pytest.raises(ForgeError, match="3 channels"):
        SegmentDetector(SegmentPlan.of(weights, CPU)).prepare()
    write_checkpoint(tmp_path / "a.safetensors", preprocess=Preprocess("tile", 33))
    with pytest.raises(ForgeError, match="multiples of"):
        SegmentDetector(SegmentPlan.of(weights, CPU)).prepare()
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ForgeError, match="not a safetensors file"):
        SegmentDetector(SegmentPlan.of(weights, CPU)).prepare()


def test_an_engine_is_opened_with_its_card(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "a.safetensors", thresholds=Thresholds(0.4))
    engine, card = open_engine(weights)
    assert engine.spec.channels == 3 and card.thresholds.pixel == 0.4
    with pytest.raises(ForgeError, match="cannot be put on cuda"):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        open_engine(weights, device="cuda:0")
