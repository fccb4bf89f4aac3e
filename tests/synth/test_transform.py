from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.synth.copying import turned_mask
from forgecli.synth.outline import Outline, outline_of
from forgecli.synth.recipe import Geometry, Tone
from forgecli.synth.transform import (
    Turn,
    change_tone,
    draw_turn,
    inverse,
    scaled_by,
    then,
)


def random_outline(seed: int, height: int, width: int) -> Outline:
    rng = np.random.default_rng(seed)
    outline = outline_of(rng.random((height, width)) < 0.7, x=int(rng.integers(40)), y=5)
    return outline if outline is not None else Outline(0, 0, np.ones((1, 1), bool))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([0, 90, 180, 270]),
    st.booleans(),
)
def test_quarter_turns_and_mirrors_move_whole_pixels(
    seed: int, height: int, width: int, angle: int, mirrored: bool
) -> None:
    outline = random_outline(seed, height, width)
    _, mask = turned_mask(outline, Turn(float(angle), mirrored))
    expected = outline.mask[:, ::-1] if mirrored else outline.mask
    assert np.array_equal(mask, np.rot90(expected, angle // 90))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 360), st.booleans(), st.floats(0.7, 1.4))
def test_a_turned_region_is_what_its_map_brings_there(
    seed: int, angle: float, mirrored: bool, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(25, 50, 2)
    y, x = np.mgrid[:height, :width]
    ellipse = ((x / (width - 1) - 0.5) ** 2 + (y / (height - 1) - 0.5) ** 2) <= 0.25
    outline = outline_of(ellipse, 11, 7)
    assert outline is not None
    affine, mask = turned_mask(outline, Turn(angle, mirrored, scale))
    # Reference: look every pixel of the copy up in the source, without interpolation.
    back = inverse(affine)
    rows, columns = np.indices(mask.shape)
    points = np.stack([columns.ravel(), rows.ravel(), np.ones(mask.size)])
    from_x, from_y = np.rint(back @ points).astype(int) - [[outline.x], [outline.y]]
    height, width = outline.mask.shape
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    expected = np.zeros(mask.size, bool)
    expected[inside] = outline.mask[from_y[inside], from_x[inside]]
    wrong = expected.reshape(mask.shape) != mask
    assert wrong.sum() <= 0.5 * 2 * (mask.shape[0] + mask.shape[1])  # on the outline only
    assert mask.sum() == pytest.approx(scale**2 * outline.area, rel=0.08)


@settings(max_examples=40, deadline=None)
@given(st.floats(-400, 400), st.booleans(), st.floats(0.3, 3), st.floats(0.2, 4), st.floats(0.2, 4))
def test_maps_invert_and_chain(
    angle: float, mirrored: bool, scale: float, across: float, down: float
) -> None:
    one = np.hstack([Turn(angle, mirrored, scale).linear, [[3.5], [-8.0]]])
    two = scaled_by(across, down)
    point = np.array([12.0, -7.0, 1.0])
    both = then(one, two)
    assert np.allclose(both @ point, two @ [*(one @ point), 1.0])
    assert np.allclose(inverse(both) @ [*(both @ point), 1.0], point[:2])


def test_an_angle_is_counter_clockwise_on_the_screen() -> None:
    assert np.allclose(Turn(90).linear @ [1, 0], [0, -1])  # right goes up
    assert np.linalg.det(Turn(30, mirrored=True).linear) < 0 < np.linalg.det(Turn(30).linear)


def test_resizing_keeps_edges_in_place() -> None:
    # The left edge of the image lies at -0.5, the right one at width - 0.5.
    edges = scaled_by(2, 3) @ [[-0.5, 9.5], [-0.5, 4.5], [1, 1]]
    assert np.allclose(edges, [[-0.5, 19.5], [-0.5, 14.5]])


def test_turns_are_drawn_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    still = Geometry(rotate=0, quarter_turn=0, mirror=0, scale=0)
    assert all(draw_turn(rng, still) == Turn() for _ in range(20))
    scaled = [draw_turn(rng, Geometry(scale=1)).scale for _ in range(200)]
    assert min(scaled) >= 0.7 and max(scaled) <= 1.4 and np.std(scaled) > 0.1
    small = [draw_turn(rng, Geometry(rotate=1, quarter_turn=0), small=True) for _ in range(100)]
    assert max(abs(turn.angle) for turn in small) < 12
    quarters = {draw_turn(rng, Geometry(rotate=0, quarter_turn=1)).angle for _ in range(60)}
    assert quarters == {90.0, 180.0, 270.0}


def test_the_ground_keeps_its_level_when_tones_change() -> None:
    tone = Tone(contrast=1, brightness=0, gamma=1, blur=0, noise=0)
    ground = np.array([200.0, 180, 190], np.float32)
    patch = np.broadcast_to(ground, (8, 8, 3)).copy()
    patch[3:5, 3:5] = 90
    changed, done = change_tone(np.random.default_rng(1), patch, tone, ground)
    assert np.allclose(changed[0, 0], ground, atol=0.01)
    assert not np.allclose(changed[3, 3], 90, atol=1)
    assert set(done) == {"contrast", "gamma"}


def test_only_panels_are_inverted() -> None:
    tone = Tone(contrast=0, brightness=0, gamma=0, blur=0, noise=0, invert=1)
    patch = np.full((4, 4, 3), 30, np.float32)
    assert change_tone(np.random.default_rng(0), patch, tone)[0].max() == 225
    ground = np.zeros(3, np.float32)
    assert change_tone(np.random.default_rng(0), patch, tone, ground)[0].max() == 30


def test_noise_is_grey_on_grey_and_coloured_on_colour() -> None:
    tone = Tone(0, brightness=0, gamma=0, blur=0, noise=1, noise_range=(4.0, 4.0), invert=0)
    grey, _ = change_tone(np.random.default_rng(0), np.full((40, 40, 3), 90, np.float32), tone)
    assert np.array_equal(grey[:, :, 0], grey[:, :, 2])
    assert grey.std() == pytest.approx(4, rel=0.1)
    colour = np.full((40, 40, 3), 90, np.float32) + np.array([0, 5, 9], np.float32)
    changed, _ = change_tone(np.random.default_rng(0), colour, tone)
    assert not np.array_equal(changed[:, :, 0] - 90, changed[:, :, 2] - 99)
