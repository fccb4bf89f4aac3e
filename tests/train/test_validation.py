"""Figures of a validation against those counted by hand and by the metric itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from forgecli.cases.discover import discover
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.segment.models.network import Network
from forgecli.segment.preprocess import Preprocess
from forgecli.train.distributed import World
from forgecli.train.gallery import Finding, gallery
from forgecli.train.settings import ValidationSettings
from forgecli.train.validation import Validation, Validator, some_of
from tests.train.runs import write_data_set


class Bright(Network):
    """Says that bright pixels are copied. With `shift`, also the pixels right of them."""

    multiple = 1

    def __init__(self, shift: int = 0, sign: float = 1.0) -> None:
        super().__init__()
        self.shift, self.sign = shift, sign
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        bright = (images.mean(1, keepdim=True) > 0.8).float()
        if self.shift:
            bright = torch.maximum(bright, bright.roll(self.shift, 3))
        return self.sign * (20 * bright - 10)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = write_data_set(tmp_path_factory.mktemp("set"), count=4)
    return discover([folder / "train_images"], id_from="path")


def judged(cases: list[Case], network: Network, **settings: object) -> Validation:
    return Validator(
        cases, Preprocess(size=48), ValidationSettings(**settings),  # type: ignore[arg-type]
        torch.device("cpu"), "fp32", World(),
    )(network)  # fmt: skip


def test_what_is_right_has_the_highest_figures(cases: list[Case]) -> None:
    found = judged(cases, Bright())
    assert found.figures["dice"] == found.figures["iou"] == found.figures["metric"] == 1
    assert found.figures["all_authentic"] == 0.5 and found.figures["validated"] == 8
    assert found.order == (1, 1)


def test_figures_are_those_that_are_counted_by_hand(cases: list[Case]) -> None:
    """Two squares of 12 x 12, each with 3 columns too many: Dice 288 x 2 / (288 + 360)."""
    found = judged(cases, Bright(shift=3), by="iou")
    assert found.figures["dice"] == pytest.approx(2 * 288 / (288 + 360))
    assert found.figures["iou"] == pytest.approx(288 / 360)
    assert found.figures["metric"] == pytest.approx((1 + 2 * 288 / (288 + 360)) / 2)
    assert found.order[0] == found.figures["iou"]


def test_what_finds_nothing_right_scores_as_silence(cases: list[Case]) -> None:
    found = judged(cases, Bright(sign=-1.0))
    assert found.figures["dice"] < 0.05
    assert found.figures["metric"] >= found.figures["all_authentic"] == 0.5


def test_the_network_is_as_before_afterwards(cases: list[Case]) -> None:
    network = Bright().train()
    judged(cases, network)
    assert network.training and network.unused.requires_grad
    network.unused.sum().backward()  # not a tensor of inference mode


def test_forged_images_are_drawn(cases: list[Case]) -> None:
    found = judged(cases, Bright(), samples=2)
    assert [finding.case_id for finding in found.findings] == ["forged/0.png", "forged/2.png"]
    drawn = gallery(found.findings)
    assert drawn.shape == (2 * 344, 960, 3) and drawn.dtype == np.uint8
    assert judged(cases, Bright(), samples=0).findings == ()
    assert len(judged(cases, Bright(), samples=99).findings) == 4


def test_names_and_shapes_of_any_kind_are_drawn() -> None:
    finding = Finding("é" * 99, np.zeros((1, 320, 3), np.uint8), np.zeros((1, 320), bool),
                      np.full((1, 320), 0.7, np.float32))  # fmt: skip
    assert gallery([finding]).shape == (344, 960, 3)


def test_images_that_cannot_be_read_any_more_are_told_once(
    cases: list[Case], tmp_path: Path
) -> None:
    gone = Case("gone", tmp_path / "gone.png")
    said: list[str] = []
    validator = Validator(
        [gone, *cases], Preprocess(size=48), ValidationSettings(), torch.device("cpu"), "fp32",
        World(), warn=said.append,
    )  # fmt: skip
    for _ in range(2):
        assert validator(Bright()).figures["validated"] == 8
    assert len(said) == 1 and "gone" in said[0]
    validator.cases = [gone]
    with pytest.raises(ForgeError, match="no image"):
        validator(Bright())


def test_a_network_that_gives_no_number_is_told(cases: list[Case]) -> None:
    class Broken(Bright):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * float("nan")

    with pytest.raises(ForgeError, match="at validation"):
        judged(cases, Broken())


def test_some_of_the_cases_are_the_same_every_time(cases: list[Case]) -> None:
    few = some_of(cases, 3, 0)
    assert len(few) == 3 and few == some_of(cases, 3, 0)
    assert [cases.index(case) for case in few] == sorted(cases.index(case) for case in few)
    assert some_of(cases, 0, 0) == some_of(cases, 99, 0) == cases


def test_an_image_of_odd_size_is_judged_at_its_own(tmp_path: Path) -> None:
    pixels = np.zeros((61, 37, 3), np.uint8)
    mask = np.zeros((61, 37), np.uint8)
    mask[20:50, 5:30] = 1
    pixels[mask > 0] = 255
    for name, array in (("images", pixels), ("masks", mask)):
        (tmp_path / name).mkdir()
        assert cv2.imwrite(str(tmp_path / name / "a.png"), array)
    found = judged(discover([tmp_path / "images"]), Bright())
    assert found.figures["dice"] > 0.9
