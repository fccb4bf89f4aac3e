"""The bench of INT8: which network it takes, and what it looks at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import int8
from bench.machine import Timing
from forgecli.build.labelled import labelled
from forgecli.segment.checkpoint import Card, write_card
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess

ASKED: dict[str, Any] = {"encoder": "resnet18", "size": 224, "minutes": 10.0}


def kept(work: Path, **changed: Any) -> Path:
    """A network as `trained` leaves it, but for its weights."""
    file = work / "run/best.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    card = Card("unet", {"encoder": "resnet18"}, Preprocess(size=224), tuning={"tta": "none"},
                training={"loop": {"minutes": 10.0}})  # fmt: skip
    write_card(file, replace(card, **changed))
    return file


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: object) -> None:
        raise AssertionError(f"forge {words[0]} is not to be run")

    monkeypatch.setattr(int8, "forge", run)


def test_a_kept_network_is_taken_as_it_was_asked_for(tmp_path: Path) -> None:
    file = kept(tmp_path)
    assert int8.trained(tmp_path, **ASKED) == file


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "deeplabv3plus"},
        {"arguments": {"encoder": "resnet34"}},
        {"preprocess": Preprocess(size=256)},
        {"training": {"loop": {"minutes": 12.0}}},
        {"training": {}},
    ],
)
def test_a_kept_network_of_another_training_is_refused(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    kept(tmp_path, **changed)
    with pytest.raises(SystemExit, match="of another training"):
        int8.trained(tmp_path, **ASKED)


def test_the_pictures_of_the_timing_are_of_both_classes(tmp_path: Path) -> None:
    int8.draw(tmp_path, 24, 3)
    shown = labelled(tmp_path, int8.TIMED)
    assert sum(case.mask is not None for case in shown) == int8.TIMED / 2 == len(shown) / 2


def test_detectors_are_closed_even_if_one_cannot_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []

    class Deaf:
        def __init__(self, plan: object) -> None:
            self.plan = plan

        def prepare(self) -> None: ...

        def detect(self, pictures: object) -> None: ...

        def close(self) -> None:
            closed.append(self.plan)

    def paired(turns: dict[str, object], *, rounds: int) -> dict[str, Timing]:
        raise RuntimeError("it cannot")

    monkeypatch.setattr(int8, "SegmentDetector", Deaf)
    monkeypatch.setattr(SegmentPlan, "of", lambda model, settings: model)
    monkeypatch.setattr(int8, "paired", paired)
    with pytest.raises(RuntimeError, match="it cannot"):
        int8.in_turn(tmp_path / "a", tmp_path / "b", [], 1)
    assert sorted(map(str, closed)) == [str(tmp_path / "a"), str(tmp_path / "b")]
