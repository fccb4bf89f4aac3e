"""What the judge is fitted on: folds, tasks, and samples that are kept and gone on with."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import judge_collect
from bench.judge_collect import Task, tasks_of
from bench.judge_folds import FOLDS, folds_of, in_folds
from bench.judge_samples import Samples, Searched, SearchedCase, joined
from bench.sources import SERIES, authentic_files, is_held_out, origin_of, photographs
from forgecli.match.features import FEATURES
from forgecli.synth.sources import SourceFile

COLUMNS = len(FEATURES)
SHARED = Path(os.environ.get("FORGE_SHARED", Path(__file__).parents[2] / "../shared"))
AUTHENTIC = SHARED / "data" / "authentic"


def files_of(**counts: int) -> list[SourceFile]:
    """So many files of each source; the kind is the source's name without its digits."""
    names = [(f"{s}_{number}.png", s) for s, count in counts.items() for number in range(count)]
    return [SourceFile(Path(name), name, s.rstrip("0123456789"), s) for name, s in names]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-c][0-9]{1,2}", fullmatch=True), st.integers(1, 30)))
def test_every_source_is_in_one_fold_and_kinds_are_spread(counts: dict[str, int]) -> None:
    files = files_of(**counts)
    folds = folds_of(files)
    assert folds == folds_of(files[::-1]), "the order of the files does not count"
    assert set(folds) == {origin_of(file) for file in files}
    assert set(folds.values()) <= set(range(FOLDS))
    for kind in {file.kind for file in files}:
        mine = {file.source for file in files if file.kind == kind}
        per_fold = Counter(folds[source] for source in mine)
        assert len(per_fold) == min(len(mine), FOLDS), "no fold lacks a kind that another has twice"
    if files:
        parts = in_folds(files, folds)
        assert sum(len(part) for part in parts) == len(files)
        assert all(folds[origin_of(file)] == n for n, part in enumerate(parts) for file in part)


def test_sources_of_one_kind_each_are_spread_over_the_folds() -> None:
    folds = folds_of(files_of(a=260, b=90, c=40, d=30, e=30, f=8))
    assert sorted(Counter(folds.values()).values()) == [1, 1, 2, 2]
    assert folds["f"] in {folds["d"], folds["e"], folds["c"]}, "the small one joins a small one"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Original names, by file; no files on disk."""
    given: dict[str, str] = {}
    monkeypatch.setattr("bench.sources._original_names", lambda: given)
    return given


def test_blots_of_one_paper_are_one_origin(names: dict[str, str]) -> None:
    names |= {
        "1": "Images_pone.0257259.s004_1_orig.png",
        "2": "Images_pone.0257259.s004_2_orig.png",
        "3": "Images_pone.0237759.s005_1_orig.png",
        "4": "Images_ECA_orig.png",
        "5": "Images_other.png",
    }
    blots = [SourceFile(Path(n), n, "blot", "blots_athenaz2_raw") for n in names]
    first, second, third, *rest = (origin_of(file) for file in blots)
    assert first == second != third
    assert len({first, third, *rest}) == 4, "a file of no series is an origin of its own"
    assert origin_of(SourceFile(Path("1"), "1", "gel", "gels")) == "gels"


def test_figures_of_one_paper_are_one_origin(names: dict[str, str]) -> None:
    names |= {
        "1": "physchem_liion_PMC7052380_pdfimages_image.1.1.523_551.93_121_raw.png",
        "2": "python_diagrams_cct_PMC7052380_pdfimages_image.8.1.54.png",
        "3": "python_diagrams_luke_papers20210121_physrevb.94.125203_1__pdfimages_image.4.1.65.png",
        "4": "python_diagrams_luke_papers20210121_physrevb.94.125203_1__pdfimages_image.2.1.71.png",
    }
    figures = [SourceFile(Path(n), n, "figure", "opendiagram_pmc") for n in names]
    assert [origin_of(file).removeprefix("opendiagram_pmc: ") for file in figures] == [
        "PMC7052380", "PMC7052380", "physrevb.94.125203", "physrevb.94.125203",
    ]  # fmt: skip
    assert set(SERIES) == {"opendiagram_pmc", "blots_athenaz2_raw", "matplotlib_plots"}


def test_one_gel_saved_twice_is_one_origin_on_one_side() -> None:
    def gel(name: str) -> SourceFile:
        return SourceFile(Path(name), f"gel/gels_kalthommusa_{name}", "gel", "gels_kalthommusa")

    assert origin_of(gel("006.jpg")) == origin_of(gel("030.jpg")) != origin_of(gel("008.jpg"))
    assert is_held_out(gel("006.jpg")) and is_held_out(gel("030.jpg"))
    assert not is_held_out(gel("008.jpg")) and not is_held_out(gel("021.jpg"))


def test_tasks_cover_folds_and_kinds_and_more_of_them_hold_the_fewer() -> None:
    files = files_of(a=20, b=7)
    folds = folds_of(files)
    few, many = (tasks_of(files, folds, count, 5, seed=3) for count in (2 * FOLDS, 20))
    assert Counter(task.fold for task in few if task.file is None) == dict.fromkeys(range(FOLDS), 2)
    assert Counter(task.file.kind for task in few if task.file) == {"a": 5, "b": 5}
    assert all(task.fold == folds[origin_of(task.file)] for task in few if task.file)
    assert {task.name for task in few} < {task.name for task in many}
    others = {task.name for task in tasks_of(files, folds, 10, 5, seed=4) if task.file is None}
    assert not others & {task.name for task in few}


def case_of(task: Task, random: np.random.Generator) -> SearchedCase:
    if task.name.endswith("3"):
        return SearchedCase(task.name, task.fold, (), ())  # nothing came of it
    images = tuple(
        Searched(random.normal(size=(n, COLUMNS)), random.random(n), forged, "blot")
        for n, forged in ((int(random.integers(0, 4)), True), (2, False))
    )
    return SearchedCase(task.name, task.fold, (f"s{task.fold}", f"t{task.fold}"), images)


def same(one: SearchedCase, other: SearchedCase) -> bool:
    plain = (one.task, one.fold, sorted(one.sources), len(one.images))
    return plain == (other.task, other.fold, sorted(other.sources), len(other.images)) and all(
        np.array_equal(a.features, b.features)
        and np.array_equal(a.overlap, b.overlap)
        and (a.forged, a.kind) == (b.forged, b.kind)
        for a, b in zip(one.images, other.images, strict=True)
    )


def test_cases_come_back_from_arrays_and_from_a_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cases = [case_of(Task(index % 5, (1, index)), random) for index in range(12)]
    samples = joined(cases)
    assert samples.of.shape == (12, 10) and len(samples.case) == 2 * 11
    alone = SearchedCase("authentic", 1, ("s1",), (cases[1].images[-1],))
    fewer = joined([*cases, alone]).without_forgeries_of({"s1", "t3"})
    left = [case for case in cases if not {"s1", "t3"} & set(case.sources)] + [alone]
    assert 1 < len(left) < len(cases) and {"s1"} == {"s1", "t1"} & set(fewer.sources.tolist())
    assert all(same(a, b) for a, b in zip(fewer.cases(), left, strict=True))
    file = tmp_path / "kept.npz"
    samples.write(file, {"a": "1"})
    back = Samples.read(file, {"a": "1"})
    for name, value in vars(back).items():
        np.testing.assert_array_equal(value, getattr(samples, name))
    assert all(same(a, b) for a, b in zip(cases, back.cases(), strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]


def test_samples_made_with_something_else_are_refused(tmp_path: Path) -> None:
    samples = joined([case_of(Task(0, (1, 1)), np.random.default_rng(0))])
    file = tmp_path / "kept.npz"
    samples.write(file, {"settings": "1", "kinds": "2"})
    with pytest.raises(SystemExit, match="another state of: kinds"):
        Samples.read(file, {"settings": "1", "kinds": "3"})
    samples.names = samples.names[:-1]
    samples.write(file, {})
    with pytest.raises(SystemExit, match="another state of: features"):
        Samples.read(file, {})
    with file.open("wb") as old:  # as they were kept before this was looked at
        np.savez(old, **{n: v for n, v in vars(samples).items() if n != "fold"})
    with pytest.raises(SystemExit, match="another state of"):
        Samples.read(file, {"settings": "1"})


class Here:
    """A pool of no processes, which stops after some cases."""

    stop_after = 10**9

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, _: object, tasks: list[Task]) -> object:
        for task in tasks:
            if Here.stop_after == 0:
                raise KeyboardInterrupt
            Here.stop_after -= 1
            yield case_of(task, np.random.default_rng([*task.name.encode()]))


def test_a_search_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(a=9, b=9, c=9, d=9, e=9)
    monkeypatch.setattr(judge_collect, "authentic_files", lambda: (files, []))
    monkeypatch.setattr(judge_collect, "digest", lambda files: str(len(files)))
    monkeypatch.setattr(judge_collect, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(judge_collect, "KEEP_EVERY", 10)
    monkeypatch.setattr(Here, "stop_after", 10**9)
    whole = judge_collect.collect(30, 3, 5, 1)

    monkeypatch.setattr(Here, "stop_after", 27)
    file = tmp_path / "kept.npz"
    with pytest.raises(KeyboardInterrupt):
        judge_collect.collect(30, 3, 5, 1, file)
    monkeypatch.setattr(Here, "stop_after", 45 - 20)  # whole tens were kept
    parts = judge_collect.collect(30, 3, 5, 1, file)
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(parts, name), value)

    monkeypatch.setattr(Here, "stop_after", 0)
    fewer = judge_collect.collect(20, 3, 5, 1, file)
    assert {*fewer.task.tolist()} < {*whole.task.tolist()}, "nothing is searched again"
    monkeypatch.setattr(judge_collect, "digest", lambda files: "other")
    with pytest.raises(SystemExit, match="source images"):
        judge_collect.collect(30, 3, 5, 1, file)


@pytest.mark.skipif(
    not AUTHENTIC.is_dir(), reason="no real images (data/authentic in ../shared or FORGE_SHARED)"
)
def test_the_real_folds_share_no_source_and_can_all_be_forged_from() -> None:
    files = authentic_files()[0]
    parts = in_folds(files, folds_of(files))
    assert len(parts) == FOLDS and all(len(photographs(part)) > 20 for part in parts)
    assert all(any(file.kind == "blot" for file in part) for part in parts)
    origins = [{origin_of(file) for file in part} for part in parts]
    assert sum(len(part) for part in origins) == len(set().union(*origins))


def test_drawn_images_have_tasks_and_sources_of_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their kind sets them apart, and dusty sources are left out of them."""
    files = files_of(clean=12, bccd=12)
    tasks = tasks_of(files, folds_of(files), 0, 0, 5, drawings=2 * FOLDS)
    assert Counter(task.fold for task in tasks) == dict.fromkeys(range(FOLDS), 2)
    assert all(task.drawn and task.name.startswith("drawn 5 ") for task in tasks)
    pixels = [np.random.default_rng(n).integers(0, 255, (120, 130, 3), np.uint8) for n in range(24)]
    pixels[0] = pixels[0][:1, :1]  # a file that cannot be read
    monkeypatch.setattr(judge_collect, "_library", [(pixels, files)] * FOLDS)
    seen: list[tuple[int, ...]] = []

    def searched(image: np.ndarray, masks: np.ndarray) -> Searched:
        seen.append(image.shape)
        assert masks.shape == (0, *image.shape[:2])
        return Searched(np.zeros((1, COLUMNS)), np.zeros(1), False, "photograph")

    monkeypatch.setattr(judge_collect, "searched", searched)
    cases = [judge_collect._work(task) for task in tasks]
    assert len(seen) == len(tasks)
    for case in cases:
        assert [image.kind for image in case.images] == ["drawn"]
        assert set(case.sources) <= {"clean"}
