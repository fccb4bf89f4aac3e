from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.repeats import REPEATS, distinct, shared_scenes
from forgecli.synth.sources import SourceFile
from tests.match.pictures import cells


def _file(name: str) -> SourceFile:
    kind, _, short = name.partition("/")
    return SourceFile(name=name, path=Path(name), kind=kind, source=short.rpartition("_")[0])


def _picture(seed: int) -> NDArray[np.uint8]:
    return np.clip(cells((300, 400), seed, 60), 0, 255).astype(np.uint8)


def test_of_every_group_one_file_is_left() -> None:
    files = [_file(name) for group in REPEATS for name in reversed(group)]
    others = [_file("gel/gels_kalthommusa_000.png"), _file("blot/other_001.png")]
    kept = distinct([*files, *others])
    assert [file.name for file in kept] == [
        *(group[0] for group in REPEATS),
        *(file.name for file in others),
    ]


def test_what_stands_for_a_group_is_one_that_is_there() -> None:
    """A group of three with its first file on the other side still has one, not two."""
    group = next(group for group in REPEATS if len(group) > 2)
    assert [file.name for file in distinct([_file(name) for name in group[1:]])] == [group[1]]


def test_no_file_is_in_two_groups() -> None:
    seen = Counter(name for group in REPEATS for name in group)
    assert set(seen.values()) == {1}


def test_a_scene_at_another_size_and_levels_is_found_and_no_other() -> None:
    one, other = _picture(3), _picture(4)
    smaller = cv2.resize(one, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    darker = np.clip(0.7 * smaller + 20, 0, 255).astype(np.uint8)
    found = [
        shared
        for shared in shared_scenes([("one", one), ("other", other), ("again", darker)])
        if shared.one_scene
    ]
    assert [(shared.first, shared.second) for shared in found] == [("one", "again")]
    assert abs(found[0].scale - 0.8) < 0.01
    assert found[0].correlation > 0.8


def test_pictures_without_keypoints_share_nothing() -> None:
    blank = np.full((60, 80), 128, np.uint8)
    assert list(shared_scenes([("one", blank), ("other", blank)])) == []
