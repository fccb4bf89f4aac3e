"""The bench that switches parts of the match detector off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import accuracy_ablation, accuracy_parts, accuracy_tables
from bench.accuracy_ablation import LEVELS, Looked, at, figures
from bench.accuracy_measure import Mark, Scene
from bench.accuracy_parts import JUDGE, KEYPOINTS, PARTS, WHOLE, Part, without
from forgecli.match import blots, candidates, search
from forgecli.match.agreement import Window
from forgecli.match.bands import bands_of
from forgecli.match.panels import Layout
from forgecli.match.proposals import Matches
from forgecli.match.search import Search
from forgecli.match.settings import MatchSettings
from tests.match.pictures import photograph, tissue

SETTINGS = MatchSettings()


def forged() -> Scene:
    """A rectangle of 70 x 60 shown again."""
    pixels = photograph(tissue((200, 240), 3), noise=1)
    masks = np.zeros((1, 200, 240), np.uint8)
    for left, top in ((20, 30), (140, 110)):
        masks[0, top : top + 60, left : left + 70] = 1
    pixels[110:170, 140:210] = pixels[30:90, 20:90]
    return Scene("object", pixels, masks)


def areas(found: Search) -> list[int]:
    return sorted(one.first.area for one in found.candidates)


@pytest.fixture(scope="module")
def searches() -> dict[str, Search]:
    """What the search finds with each part off, stages shared as in the bench."""
    pixels, shared, found = forged().pixels, accuracy_parts.Shared(), {}
    for name, part in PARTS.items():
        with without(part, shared):
            found[name] = search.search(pixels, SETTINGS)
    return found


def test_every_part_that_is_off_is_off(searches: dict[str, Search]) -> None:
    whole = areas(searches[WHOLE])
    assert areas(searches[JUDGE]) == whole, "the judge is no part of the search"
    for name in (KEYPOINTS, "dense fields", "growth", "outline", "refinement"):
        assert areas(searches[name]) != whole, name
    assert searches["panels and kinds"].layout.usable.all()


def test_the_parts_of_blots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wholes and bands are made in one stage, and can be off one by one all the same."""
    blot = Layout(
        (Window(0, 0, 240, 200),), np.ones((200, 240), bool), np.zeros((200, 240), np.int32),
        ("blot",), np.zeros((200, 240), bool),
    )  # fmt: skip
    monkeypatch.setattr(search, "find_layout", lambda *_, **__: blot)
    monkeypatch.setattr(
        blots, "whole_blots", lambda *_: [blots.WholeBlot(0, 0, np.eye(2, 3), 3, 0.9)]
    )
    shared, wholes = accuracy_parts.Shared(), {}
    for name in (WHOLE, "blots: as wholes", "blots: band by band"):
        with without(PARTS[name], shared):
            wholes[name] = len(search.search(forged().pixels, SETTINGS).wholes)
    assert wholes == {WHOLE: 1, "blots: as wholes": 0, "blots: band by band": 0}


def test_nothing_is_off_afterwards() -> None:
    before = {(module, name): getattr(module, name)
              for part in PARTS.values() for module, name, _ in part.replaced}  # fmt: skip
    for part in PARTS.values():
        with without(part, accuracy_parts.Shared()):
            pass
    assert all(getattr(module, name) is now for (module, name), now in before.items())


def test_a_part_that_the_detector_no_longer_has_is_an_error() -> None:
    with pytest.raises(AttributeError), without(Part("", ((search, "no_such_stage", print),))):
        pass


def test_shared_stages_change_nothing(searches: dict[str, Search]) -> None:
    with without(PARTS[KEYPOINTS]):
        alone = search.search(forged().pixels, SETTINGS)
    np.testing.assert_array_equal(alone.features, searches[KEYPOINTS].features)


def test_what_is_shared_is_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("time.process_time", lambda: float(next(clock)))
    shared = accuracy_parts.Shared()
    calls = []
    stage = shared.once("stage", lambda *given: calls.append(given))
    first, second = np.zeros(1), np.zeros(1)
    stage(first, (1, 2))
    assert shared.saved == 0.0
    stage(first, (1, 2))
    assert (len(calls), shared.saved) == (1, 1.0)
    stage(second, (1, 2))  # equal, but another image's
    assert len(calls) == 2


def test_hull_of_the_matches_that_a_map_explains() -> None:
    bands = bands_of(forged().pixels)
    moved = np.array([[1.0, 0, 50], [0, 1, 0]])
    places = [(20, 20), (60, 20), (60, 60), (20, 60)]
    rows = [(x, y, x + 50, y, 1, 0, 0, 1) for x, y in places] + [(150, 150, 10, 10, 1, 0, 0, 1)]
    matches: Matches = np.array(rows, np.float64)
    region = accuracy_parts.hull(bands, moved, matches[:1, :2], SETTINGS, matches=matches)
    window, reach = region.first.window, SETTINGS.patch_radius
    assert (window.left, window.top) == (20 - reach, 20 - reach)
    assert (window.right, window.bottom) == (61 + reach, 61 + reach)
    assert region.first.mask.all()
    alone = accuracy_parts.hull(bands, moved, np.array([[2.0, 3.0]]), SETTINGS)
    assert (alone.first.window.left, alone.first.window.right) == (0, 3 + reach)


def test_the_whole_bench_on_one_scene() -> None:
    scene = forged()
    twin = replace(scene, pixels=photograph(tissue((200, 240), 3), noise=1), masks=scene.masks[:0])
    parts = (WHOLE, "outline", JUDGE)
    found = [
        one
        for number, each in enumerate((scene, twin))
        for one in accuracy_ablation.looked_at(each, ("x", number), parts)
    ]
    assert len(found) == 2 * (2 + len(LEVELS))
    whole, twins = (next(one for one in found if one.scene == ("x", n)) for n in (0, 1))
    assert whole.copy and whole.mark.forged and whole.mark.flagged and whole.mark.f1 > 0.8
    assert not twins.copy and not twins.mark.forged
    by_level = [one for one in found if one.mark.method.startswith(JUDGE) and one.mark.forged]
    flags = [one.mark.flagged for one in by_level]
    assert flags == sorted(flags, reverse=True) and flags[0]
    assert all(one.mark.seconds >= 0.5 * whole.mark.seconds for one in by_level)
    assert figures(found)["parts"][0]["flagged"] == 1


def looked(number: int, method: str, *, forged: bool, flagged: bool, point: str = "blot") -> Looked:
    return Looked((number,), Mark(point, method, forged, flagged, 0.5, 0.5, 1.0, 1.0), forged)


def test_figures_compare_image_by_image() -> None:
    found = []
    for method, flags in ((WHOLE, (1, 0, 0, 0)), ("outline", (0, 1, 1, 0)),
                          (at(0.9), (1, 1, 1, 1)), (at(0.95), (1, 0, 0, 0))):  # fmt: skip
        for number, flag in enumerate(flags):
            forged, point = number < 2, "authentic: gel" if number == 3 else "blot"
            found.append(looked(number, method, forged=forged, flagged=bool(flag), point=point))
    lines = figures(found)["parts"]
    assert [line["off"] for line in lines] == [WHOLE, "outline", JUDGE, JUDGE]
    outline, usual, fair = lines[1:]
    assert (outline["lost"], outline["gained"], outline["flagged_twins"]) == (1, 1, 1)
    assert (outline["twins"], outline["authentic_images"]) == (1, 1)
    assert "over 0.9" in usual["instead"] and usual["flagged_authentic_images"] == 1
    assert "over 0.95" in fair["instead"] and fair["false_positives"] == 0
    assert usual["recall_by_way"]["blot"] == 1.0 and usual["recall_by_way"]["object"] is None
    text = accuracy_tables.ablation(figures(found))
    assert "| outline | regions as they grew | 2 | 1 | 1 / 1 | 0.500 | 0.500 | 1 | 0 |" in text
    assert "2 forgeries, their 1 authentic twins and 1 authentic images" in text


def test_parts_bind_names_that_are_called() -> None:
    """A stage that was renamed, or is called by another way, would be on although it is off."""
    for part in PARTS.values():
        for module, name, _ in part.replaced:
            assert module in (search, candidates, blots)
            used = [f for f in vars(module).values() if name in getattr(
                getattr(f, "__code__", None), "co_names", ())]  # fmt: skip
            assert used, name
