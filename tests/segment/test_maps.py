"""Maps of logits at full size, whatever the size and the view."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.segment.forms import FORMS, Tta
from forgecli.segment.maps import Cuts, NotFinite, logits_of
from forgecli.segment.preprocess import Preprocess
from tests.segment.fake_engine import FakeEngine, constant, red, red_plus_ramp

SHAPES = st.tuples(st.integers(1, 100), st.integers(1, 100))
TTA = st.sampled_from(["none", "flip", "d4"])
OVERLAP = st.floats(0, 0.89)
VIEWS = st.sampled_from(["resize", "tile"])


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def smooth(shape: tuple[int, int]) -> np.ndarray:
    return cv2.GaussianBlur(picture(shape), (0, 0), 6.0)


@given(SHAPES, OVERLAP, TTA, st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_tiles_of_a_network_that_sees_one_pixel_give_the_picture(
    shape: tuple[int, int], overlap: float, tta: Tta, batch: int
) -> None:
    pixels, engine = picture(shape), FakeEngine(red)
    preprocess = Preprocess("tile", 32, overlap)
    logits = logits_of(pixels, engine, preprocess, tta, batch=batch)
    assert logits.shape == (1, *shape) and logits.dtype == np.float32
    assert logits.flags.c_contiguous
    np.testing.assert_allclose(logits[0], pixels[:, :, 0] / 255, atol=1e-5)
    assert max(engine.batches) <= batch


@given(SHAPES, OVERLAP, TTA, VIEWS, st.floats(-30, 30, width=32))
@settings(max_examples=80, deadline=None)
def test_a_constant_stays_constant(
    shape: tuple[int, int], overlap: float, tta: Tta, view: str, value: float
) -> None:
    preprocess = Preprocess(view, 32, overlap)  # type: ignore[arg-type]
    logits = logits_of(picture(shape), FakeEngine(constant(value)), preprocess, tta)
    assert logits.shape == (1, *shape)
    if view == "tile":
        assert (logits == np.float32(value)).all()
    else:  # the weights of a bilinear interpolation add up to 1 but for rounding
        np.testing.assert_allclose(logits, value, rtol=1e-6)


@given(SHAPES, TTA)
@settings(max_examples=40, deadline=None)
def test_resize_without_resizing_gives_the_picture(shape: tuple[int, int], tta: Tta) -> None:
    pixels = picture(shape)
    size = max(32, *shape)
    if max(shape) < size:  # it would be enlarged
        pixels = np.ascontiguousarray(np.pad(pixels, ((0, size - shape[0]), (0, 0), (0, 0))))
    logits = logits_of(pixels, FakeEngine(red), Preprocess("resize", size), tta)
    np.testing.assert_allclose(logits[0], pixels[:, :, 0] / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(90, 150), (151, 77), (40, 20), (20, 33)])
def test_resize_is_aligned(shape: tuple[int, int]) -> None:
    """Were the two grids off by a fraction of a pixel, a mirrored picture would tell."""
    pixels, preprocess = smooth(shape), Preprocess("resize", 64)
    logits = logits_of(pixels, FakeEngine(red), preprocess)
    for axis in (0, 1):
        flipped = np.ascontiguousarray(np.flip(pixels, axis))
        again = logits_of(flipped, FakeEngine(red), preprocess)
        # Halves are rounded up, mirrored or not: one grey level here and there.
        np.testing.assert_allclose(np.flip(again[0], axis), logits[0], atol=2.1 / 255)
    inner = np.abs(logits[0] - pixels[:, :, 0] / 255)[4:-4, 4:-4]
    assert inner.mean() < 0.01, "a smooth picture comes through"


@pytest.mark.parametrize("view", ["resize", "tile"])
@pytest.mark.parametrize("shape", [(64, 64), (61, 64), (33, 64), (64, 9)])
def test_forms_are_undone(view: str, shape: tuple[int, int]) -> None:
    """What depends on the place cancels out if every form comes back to where it was."""
    pixels = picture(shape)
    preprocess = Preprocess(view, 64)  # type: ignore[arg-type]
    alone = logits_of(pixels, FakeEngine(red_plus_ramp), preprocess, "none")
    assert np.ptp(alone) > 60
    for tta in ("flip", "d4"):
        logits = logits_of(pixels, FakeEngine(red_plus_ramp), preprocess, tta)
        np.testing.assert_allclose(logits[0], pixels[:, :, 0] / 255, atol=1e-4)


def test_forms_are_all_different() -> None:
    assert [len(FORMS[tta]) for tta in ("none", "flip", "d4")] == [1, 4, 8]
    seen: list[bytes] = []
    engine = FakeEngine(lambda images: (seen.extend(i.tobytes() for i in images), red(images))[1])
    logits_of(picture((32, 32)), engine, Preprocess("tile", 32), "d4")
    assert len(set(seen)) == 8


def test_tiles_agree_with_the_whole_for_a_network_that_sees_little() -> None:
    def blur(images: np.ndarray) -> np.ndarray:  # sees 2 pixels around, and zeros beyond a rim
        return np.stack([[cv2.boxFilter(image[0], -1, (5, 5), borderType=cv2.BORDER_CONSTANT)]
                         for image in images])  # fmt: skip

    pixels = picture((128, 192))
    whole = logits_of(pixels, FakeEngine(blur), Preprocess("resize", 192))
    tiled = logits_of(pixels, FakeEngine(blur), Preprocess("tile", 64, 0.5))
    inner = np.s_[0, 2:-2, 2:-2]
    assert np.abs(tiled[inner] - whole[inner]).max() < 0.01
    sharp = logits_of(pixels, FakeEngine(blur), Preprocess("tile", 64, 0.0))
    assert np.abs(sharp[inner] - whole[inner]).max() > 0.1, "without overlap the rims show"


@given(st.integers(1, 500), st.sampled_from([32, 64]), OVERLAP)
@settings(max_examples=150, deadline=None)
def test_cuts_cover_a_side_and_overlap_enough(side: int, size: int, overlap: float) -> None:
    cuts = Cuts.of(side, size, overlap, 8)
    ends = [start + cuts.length for start in cuts.starts]
    assert cuts.starts[0] == 0 and list(cuts.starts) == sorted(set(cuts.starts))
    if side <= size:
        assert cuts.starts == (0,) and side <= cuts.length < side + 8
        return
    assert cuts.length == size and ends[-1] == side
    for end, following in zip(ends, cuts.starts[1:], strict=False):
        assert end - following >= int(size * overlap) - 1
    assert (cuts.weights() > 0).all()
    np.testing.assert_allclose(cuts.weights(), cuts.weights()[::-1], atol=1e-6)


@pytest.mark.parametrize("view", ["resize", "tile"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 5), (5, 1500)])
@pytest.mark.parametrize("tta", ["none", "d4"])
def test_strange_shapes(view: str, shape: tuple[int, int], tta: Tta) -> None:
    preprocess = Preprocess(view, 64, ela=True)  # type: ignore[arg-type]
    logits = logits_of(picture(shape), FakeEngine(red, channels=6), preprocess, tta)
    assert logits.shape == (1, *shape) and np.isfinite(logits).all()


def test_several_channels_of_output() -> None:
    engine = FakeEngine(lambda images: images, outputs=3)
    pixels = picture((50, 70))
    logits = logits_of(pixels, engine, Preprocess("resize", 70))
    np.testing.assert_allclose(logits, pixels.transpose(2, 0, 1) / 255, atol=1e-5)


@pytest.mark.parametrize(("view", "tta"), [("tile", "none"), ("resize", "flip"), ("tile", "d4")])
def test_channels_of_several_looks_are_not_mixed(view: str, tta: Tta) -> None:
    """What is channel 0 in one look is channel 1 in the next: their mean would be nothing."""

    def numbered_anew(images: np.ndarray) -> np.ndarray:
        first = int(images[0, 0, 0, 0] * 255) % 2
        planes = [images[:, :1], np.full_like(images[:, :1], -9.0)]
        return np.concatenate(planes[::-1] if first else planes, axis=1)

    pixels = picture((50, 70))
    preprocess = Preprocess(view, 70 if view == "resize" else 32)  # type: ignore[arg-type]
    engine = FakeEngine(numbered_anew, outputs=2)
    logits = logits_of(pixels, engine, preprocess, tta, batch=1)
    assert logits.shape == (1, 50, 70)
    np.testing.assert_allclose(logits[0], pixels[:, :, 0] / 255, atol=1e-5)


@pytest.mark.parametrize("view", ["resize", "tile"])
@pytest.mark.parametrize("shape", [(20, 20), (64, 48), (100, 130), (1, 1)])
def test_an_engine_of_one_size(view: str, shape: tuple[int, int]) -> None:
    engine = FakeEngine(red, size=(64, 48))
    preprocess = Preprocess(view, 512)  # type: ignore[arg-type]
    pixels = smooth(shape)
    logits = logits_of(pixels, engine, preprocess, "flip")
    assert logits.shape == (1, *shape)
    assert np.abs(logits[0] - pixels[:, :, 0] / 255).mean() < 0.01


def test_what_cannot_be_is_said() -> None:
    pixels = picture((40, 40))
    with pytest.raises(ValueError, match="channels"):
        logits_of(pixels, FakeEngine(red), Preprocess(ela=True))
    with pytest.raises(ValueError, match="multiples of 24"):
        logits_of(pixels, FakeEngine(red, multiple=24), Preprocess("tile", 64))
    with pytest.raises(ValueError, match="d4"):
        logits_of(pixels, FakeEngine(red, size=(64, 32)), Preprocess(), "d4")
    for wrong in (pixels[:, :, 0], pixels.astype(np.float32), pixels[:0]):
        with pytest.raises(ValueError, match="a picture is"):
            logits_of(wrong, FakeEngine(red), Preprocess())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_an_error(value: float) -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        logits = images[:, :1].copy()
        logits[0, 0, 3, 3] = value
        return logits

    with pytest.raises(NotFinite):
        logits_of(picture((40, 40)), FakeEngine(broken), Preprocess("resize", 40))
