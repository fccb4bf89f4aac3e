"""Figures over rows, against hand-made truths and NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.inspect.examine import pixels_of
from forgecli.inspect.rows import ImageRow, Pixels
from forgecli.inspect.summary import summarise, summarise_class, summarise_coverage
from forgecli.inspect.triptychs import spread_of_examples, triptychs
from tests.inspect.sets import clean, noise
from tests.inspect.test_survey import look


def test_coverage() -> None:
    found = summarise_coverage([0.1, 0.11, 0.5, 0.9, 1.5, 2.0, 4.0, 5.0, 5.1, 60.0])
    assert list(found.buckets.values()) == [1, 2, 1, 2, 2, 2]
    assert found.percentiles["P50"] == pytest.approx(1.75)
    assert found.cumulative[0.1] == pytest.approx(0.1)
    assert found.cumulative[5.0] == pytest.approx(0.8)
    assert found.cumulative[100.0] == 1


def test_no_coverage() -> None:
    found = summarise_coverage([])
    assert (found.images, found.percentiles, found.cumulative) == (0, {}, {})


@given(st.lists(st.floats(0.001, 100), min_size=1))
def test_buckets_and_curve_agree(percents: list[float]) -> None:
    found = summarise_coverage(percents)
    assert sum(found.buckets.values()) == len(percents)
    up_to_five = sum(list(found.buckets.values())[:5])
    assert found.cumulative[5.0] == pytest.approx(up_to_five / len(percents))


def test_mean_and_std_are_those_of_all_samples() -> None:
    pictures = [noise(seed) // (seed + 1) for seed in range(4)]  # one size: images count the same
    rows = [
        ImageRow(str(i), "", "forged", f"{i}.png", height=40, width=60, pixels=pixels_of(picture))
        for i, picture in enumerate(pictures)
    ]
    found = summarise_class("forged", rows)
    together = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    assert found.mean == pytest.approx(together.mean(axis=0))
    assert found.std == pytest.approx(together.std(axis=0))


def test_shares() -> None:
    pixels = Pixels("x", (0, 0, 0), (1, 1, 1), grey=True)

    def row(channels: int, bits: int, alpha: bool) -> ImageRow:
        return ImageRow(
            "1", "", "forged", "1.png", height=4, width=6, channels=channels, bits=bits,
            alpha=alpha, pixels=pixels,
        )  # fmt: skip

    found = summarise_class(
        "forged", [row(1, 16, False), row(2, 8, True), row(4, 8, True), row(3, 8, False)]
    )
    assert (found.grey, found.alpha, found.sixteen_bit, found.grey_content) == (0.5, 0.5, 0.25, 1)
    assert found.long_side == {"least": 6, "P50": 6, "P90": 6, "most": 6}


def test_an_empty_class() -> None:
    found = summarise_class("forged", [])
    assert found.mean is found.grey is found.long_side is None


def test_pixels() -> None:
    grey = np.repeat(noise(1)[:, :, :1], 3, axis=2)
    assert pixels_of(np.ascontiguousarray(grey)).grey
    assert not pixels_of(noise(1)).grey
    grey[-1, -1, 2] ^= 1
    assert not pixels_of(np.ascontiguousarray(grey)).grey
    assert pixels_of(noise(1)).content == pixels_of(noise(1).copy()).content
    flat = noise(1).reshape(60, 40, 3)  # the same samples in another shape
    assert pixels_of(flat).content != pixels_of(noise(1)).content


def test_json_is_plain(tmp_path: Path) -> None:
    import json

    found = look(clean(tmp_path / "set").folder)
    assert json.loads(json.dumps(found.summary.as_json(), allow_nan=False))["images"] == 5
    assert summarise("x", found.rows) == summarise("x", found.rows)


def test_examples_are_spread(tmp_path: Path) -> None:
    made = clean(tmp_path / "set")
    found = look(made.folder)
    rows = found.rows
    assert [row.case_id for row in spread_of_examples(rows)] == ["4", "2"]
    assert [row.case_id for row in spread_of_examples(rows, 1)] == ["4"]
    drawn = list(triptychs(found.files, rows, 10_000))
    assert [each.authentic is None for each in drawn] == [True, False]
    assert drawn[1].forged.shape == drawn[1].truth.shape == (120, 180, 3)  # enlarged 3 times
    same = (drawn[1].forged == drawn[1].truth).all(axis=2)
    assert same[100:, 150:].all()  # far from both instances
    assert not same[3:27, 3:27].any()  # tinted


def test_an_example_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    made = clean(tmp_path / "set")
    found = look(made.folder)
    rows = found.rows
    (made.folder / "train_images" / "forged" / "4.png").unlink()
    assert [each.row.case_id for each in triptychs(found.files, rows, 10_000)] == ["2"]


def test_names_with_accents_that_are_spelled_otherwise(tmp_path: Path) -> None:
    made = clean(tmp_path / "set")
    for name in ("train_images/forged/4.png", "train_masks/4.npy"):
        path = made.folder / name
        path.rename(path.with_stem("e\u0301"))  # two code points; paths are shown with one
    found = look(made.folder)
    assert [row.path for row in found.rows if row.label == "forged"][1].endswith("\u00e9.png")
    assert len(list(triptychs(found.files, found.rows, 10_000))) == 2
