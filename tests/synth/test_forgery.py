from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from forgecli.errors import ForgeError
from forgecli.synth import Forgery, Recipe, forgery, generate, generate_authentic
from forgecli.synth.forgery import _draw_plan
from forgecli.synth.recipe import Count, Figure, Finish, Geometry, Negatives, Paste
from tests.synth.pictures import blot, chart, nuclei, tissue
from tests.synth.recipes import AS_IT_IS, BARE, UNCHANGED, WAYS, exact, only

SOURCES = [
    *(nuclei(seed) for seed in range(6)),
    *(tissue(seed) for seed in range(6)),
    *(blot(seed) for seed in range(6)),
    chart(),
]
KINDS = [*["nuclei"] * 6, *["tissue"] * 6, *["blot"] * 6, "chart"]


def make(seed: int, recipe: Recipe) -> Forgery:
    return generate(np.random.default_rng(seed), SOURCES, recipe, KINDS)


def looked_up(picture: NDArray[Any], affine: list[list[float]]) -> NDArray[np.float64]:
    """What a map brings to every pixel; 0 where that lies outside. The reference of these tests.

    Args:
        picture: (H, W) or (H, W, 3).
    """
    back = np.linalg.inv(np.vstack([np.array(affine), [0, 0, 1]]))
    rows, columns = np.indices(picture.shape[:2])
    x, y, _ = np.tensordot(back, np.stack([columns, rows, np.ones(rows.shape)]), axes=1)
    planes = picture[:, :, None] if picture.ndim == 2 else picture
    found = [
        ndimage.map_coordinates(planes[:, :, channel].astype(float), [y, x], order=1)
        for channel in range(planes.shape[2])
    ]
    return np.stack(found, axis=2).reshape(picture.shape)


def source_of(made: Forgery, number: int = 0) -> NDArray[np.bool_]:
    """The part of a group's mask that is its source, by the box on its card."""
    x, y, width, height = made.card["groups"][number]["source"]
    source = np.zeros(made.masks.shape[1:], bool)
    source[y : y + height, x : x + width] = made.masks[number][y : y + height, x : x + width] > 0
    return source


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_of_a_mask_is_copied_or_copied_from(way: str, seed: int) -> None:
    made = make(seed, only(way, exact(count=Count(instances=(1.0,)))))
    mask, source = made.masks[0] > 0, source_of(made)
    covered = source.copy()
    for copy in made.card["groups"][0]["copies"]:
        content = looked_up(made.image, copy["map"])
        target = mask & (looked_up(source, copy["map"]) > 0.5)
        moved = copy["scale"] == 1 and way != "overlap"
        if moved:
            assert np.abs(content[target] - made.image[target]).max() < 1e-6
        else:  # both are seen through interpolation
            assert np.abs(content[target] - made.image[target]).mean() < 6
        # All of the source arrived, and where it arrived is in the mask.
        assert target.sum() == pytest.approx(
            copy["scale"] ** 2 * source.sum(), rel=1e-9 if moved else 0.03
        )
        covered |= target
    assert (mask & ~covered).sum() <= 0.03 * mask.sum() * (way in ("overlap", "panel"))


@pytest.mark.parametrize("way", ["object", "region", "blot", "panel", "removal"])
@pytest.mark.parametrize("seed", range(2))
def test_the_twin_differs_inside_the_mask_only(way: str, seed: int) -> None:
    made = make(seed, only(way, exact()))
    differs = (made.image != made.twin).any(axis=2)
    assert differs.any()
    assert not (differs & ~made.masks.any(axis=0)).any()


@pytest.mark.parametrize("mode", ["feather", "poisson"])
@pytest.mark.parametrize("seed", range(4))
def test_turned_copies_lie_where_their_maps_say(seed: int, mode: str) -> None:
    recipe = dataclasses.replace(
        only("region"),
        geometry=Geometry(rotate=1, scale=1, mirror=0.5),
        tone=UNCHANGED,
        finish=AS_IT_IS,
        annotate=BARE,
        paste=Paste(feather=mode == "feather", hard=0, poisson=mode == "poisson"),
        count=Count(instances=(1.0,), region_share=(0.01, 0.08)),
    )
    made = make(seed, recipe)
    for copy in made.card["groups"][0]["copies"]:
        content = looked_up(made.image, copy["map"])
        target = (made.masks[0] > 0) & (looked_up(source_of(made), copy["map"]) > 0.5)
        target = ndimage.binary_erosion(target, iterations=3)
        channel = int(made.image[target].std(axis=0).argmax())
        pair = np.corrcoef(content[target][:, channel], made.image[target][:, channel])
        # Poisson blending changes the low frequencies; a shift by 1 px would give less than this.
        assert pair[0, 1] > (0.97 if mode == "feather" else 0.6)


@pytest.mark.parametrize("seed", range(8))
def test_a_forgery_is_well_formed(seed: int) -> None:
    made = make(100 + seed, Recipe())
    height, width = made.image.shape[:2]
    assert made.image.dtype == made.twin.dtype == made.masks.dtype == np.uint8
    assert made.image.shape == made.twin.shape == (height, width, 3)
    assert made.masks.shape[1:] == (height, width)
    assert set(np.unique(made.masks)) == {0, 1}
    assert made.masks.sum(axis=0).max() == 1
    assert len(made.masks) == len(made.card["groups"]) >= 1
    assert made.masks.sum(axis=(1, 2)).min() >= 2 * Count().min_pixels
    assert json.loads(json.dumps(made.card)) is not None
    changed = np.abs(made.image.astype(int) - made.twin).max(axis=2)
    assert changed.max() > 3


def test_the_same_state_gives_the_same_forgery() -> None:
    first, second, third = make(5, Recipe()), make(5, Recipe()), make(6, Recipe())
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.twin, second.twin)
    assert np.array_equal(first.masks, second.masks)
    assert first.card == second.card
    assert first.image.shape != third.image.shape or not np.array_equal(first.image, third.image)


def test_masks_follow_the_size_of_the_image() -> None:
    finish = dataclasses.replace(AS_IT_IS, resample=1, resample_range=(1.7, 1.7))
    recipe = exact(finish=finish, count=Count(instances=(1.0,)), figure=Figure(compound=0))
    made = make(3, only("object", recipe))
    height, width = made.image.shape[:2]
    across, down = made.card["finish"]["resample"]
    assert across == pytest.approx(1.7, rel=0.01) and down == pytest.approx(1.7, rel=0.01)
    mask = made.masks[0] > 0
    labels, count = ndimage.label(mask)
    assert count == 1 + len(made.card["groups"][0]["copies"])
    x, y, wide, tall = made.card["groups"][0]["source"]
    assert mask[y : y + tall, x : x + wide].mean() > 0.5
    for copy in made.card["groups"][0]["copies"]:
        centre = np.array(copy["map"]) @ [x + wide / 2, y + tall / 2, 1]
        assert 0 <= centre[0] < width and 0 <= centre[1] < height
        assert labels[int(centre[1]), int(centre[0])] not in (
            0,
            labels[y + tall // 2, x + wide // 2],
        )


def test_what_happens_to_the_forgery_happens_to_the_twin() -> None:
    finish = Finish(jpeg_before=0, resample=0, blur=1, noise=1, jpeg=0)
    made = make(9, only("object", exact(finish=finish)))
    assert {"blur", "noise"} <= set(made.card["finish"])
    far = ndimage.distance_transform_edt(made.masks.any(axis=0) == 0) > 8
    assert np.array_equal(made.image[far], made.twin[far])


def test_groups_are_as_many_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    numbers = np.bincount([len(_draw_plan(rng, Recipe())) for _ in range(4000)], minlength=5)
    assert numbers[1:5] / 4000 == pytest.approx([0.68, 0.25, 0.06, 0.01], abs=0.03)


def test_ways_with_no_weight_are_not_gone() -> None:
    rng = np.random.default_rng(0)
    for way in WAYS:
        assert {name for _ in range(50) for name in _draw_plan(rng, only(way))} == {way}


def test_flat_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgery, "_PLANS", 3)
    flat = [np.full((200, 200, 3), value, np.uint8) for value in (0, 90, 255)]
    noisy = np.random.default_rng(0).normal(100, 4, (200, 200, 1)).repeat(3, 2).astype(np.uint8)
    with pytest.raises(ForgeError, match="nothing could be copied"):
        generate(np.random.default_rng(1), [*flat, noisy])


def test_charts_are_not_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgery, "_PLANS", 2)
    with pytest.raises(ForgeError):
        generate(np.random.default_rng(0), [chart(seed) for seed in range(4)])


def test_sources_are_needed() -> None:
    with pytest.raises(ValueError, match="no source images"):
        generate(np.random.default_rng(0), [])
    with pytest.raises(ValueError, match="one kind per source"):
        generate(np.random.default_rng(0), SOURCES, kinds=["nuclei"])


@pytest.mark.parametrize("name", ["plain", "channels", "replicates", "lookalikes", "inset"])
def test_negatives_are_authentic(name: str) -> None:
    weights = {key: float(key == name) for key in ("plain", "channels", "replicates")}
    weights |= {key: float(key == name) for key in ("lookalikes", "inset")}
    recipe = dataclasses.replace(Recipe(), negatives=Negatives(**weights))
    for seed in range(3):
        made = generate_authentic(np.random.default_rng(seed), SOURCES, recipe, KINDS)
        assert made.masks.shape == (0, *made.image.shape[:2])
        assert np.array_equal(made.image, made.twin)
        assert made.card["kind"] == name and made.card["label"] == "authentic"
        assert made.image.std() > 1
