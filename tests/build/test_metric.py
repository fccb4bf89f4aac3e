"""Two precisions on labelled images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.base import Images, Logits
from forgecli.build.labelled import labelled
from forgecli.build.metric import compare
from forgecli.errors import ForgeError
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from tests.tune.red_dataset import SIDE, RedEngine, write_dataset

SEES = Preprocess(size=SIDE)
FINDS = Thresholds(pixel=0.5, min_area=20, quantile=0.99, gate=0.9)


class Blind(RedEngine):
    """Sees nothing."""

    def _infer(self, images: Images) -> Logits:
        return np.full_like(super()._infer(images), -9)


class Broken(RedEngine):
    """Gives what is no number."""

    def _infer(self, images: Images) -> Logits:
        return np.full_like(super()._infer(images), np.nan)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, 10)
    return folder


def test_images_are_spread_over_both_classes(dataset: Path) -> None:
    cases = labelled(dataset, 8)
    assert [case.mask is not None for case in cases] == [True] * 4 + [False] * 4
    assert len({case.case_id for case in cases}) == 8
    assert len(labelled(dataset, 1000)) == 20
    assert len(labelled(dataset, 1)) == 1


def test_the_same_network_loses_nothing(dataset: Path) -> None:
    found = compare(RedEngine(), RedEngine(), labelled(dataset, 20), SEES, FINDS)
    assert (found.images, found.flags, found.left_out, found.apart) == (20, 0, 0, 0.0)
    assert found.full == found.half
    # Of ten forged images, two cannot be seen; no authentic one is flagged.
    assert found.full == pytest.approx((10 + 8) / 20)
    assert all(finding.good for finding in found.findings())


def test_what_a_worse_network_loses_is_told(dataset: Path) -> None:
    told: list[tuple[int, int]] = []
    found = compare(RedEngine(), Blind(), labelled(dataset, 20), SEES, FINDS,
                    lambda *step: told.append(step))  # fmt: skip
    assert told == [(number, 20) for number in range(1, 21)]
    assert found.half == pytest.approx(10 / 20)
    assert found.full - found.half == pytest.approx(8 / 20)
    assert found.flags == 8
    assert found.apart > 0.9
    bad = [finding.name for finding in found.findings() if not finding.good]
    assert bad == ["score_lost", "images_probability", "images_probability_mean"]


def test_a_gain_is_no_loss(dataset: Path) -> None:
    found = compare(Blind(), RedEngine(), labelled(dataset, 20), SEES, FINDS)
    assert "score_lost" not in [one.name for one in found.findings() if not one.good]


def test_images_that_cannot_be_used_are_counted(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", 4)
    (tmp_path / "d/train_images/forged/0.png").write_bytes(b"rubbish")
    (tmp_path / "d/train_masks/1.npy").write_bytes(b"rubbish")
    found = compare(RedEngine(), RedEngine(), labelled(tmp_path / "d", 8), SEES, FINDS)
    assert (found.images, found.left_out) == (6, 2)
    for image in (tmp_path / "d/train_images").glob("*/*.png"):
        image.write_bytes(b"rubbish")
    with pytest.raises(ForgeError, match="none of the labelled images"):
        compare(RedEngine(), RedEngine(), labelled(tmp_path / "d", 8), SEES, FINDS)


def test_what_is_no_number_ends_it_with_what_gave_it(dataset: Path) -> None:
    half, weights = Broken(), Path("best.safetensors")
    half.spec = replace(half.spec, precision="fp16")
    with pytest.raises(ForgeError, match=r"not finite numbers, in FP16 on ") as raised:
        compare(RedEngine(), half, labelled(dataset, 2), SEES, FINDS, weights=weights)
    assert raised.value.file == weights and raised.value.mend == "--precision fp32"
    with pytest.raises(ForgeError, match=r"not finite numbers, in FP32 on ") as raised:
        compare(Broken(), half, labelled(dataset, 2), SEES, FINDS, weights=weights)
    assert raised.value.file == weights and "learning rate" in raised.value.mend
