"""Batches depend on seed, epoch and position alone; what cannot be read is said."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from forgecli.errors import ForgeError
from forgecli.segment.batch import Batch
from forgecli.segment.preprocess import Preprocess
from forgecli.train.data import AugmentSettings, DataSettings
from forgecli.train.index import Item, read_index
from forgecli.train.loader import Loader, make_loader
from forgecli.train.samples import Samples
from forgecli.train.sheet import contact_sheet
from tests.train.drawn import write_set


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> tuple[Item, ...]:
    return read_index(write_set(tmp_path_factory.mktemp("set"), 6)).items


def loader(items: tuple[Item, ...], **changes: object) -> Loader:
    data = DataSettings(size=64, view="tile")
    given: dict[str, object] = {"batch": 4, "seed": 5, **changes}
    return make_loader(items, data, AugmentSettings(), data.preprocess, **given)  # type: ignore[arg-type]


def same(first: Batch, second: Batch) -> bool:
    return (
        first.case_ids == second.case_ids
        and torch.equal(first.images, second.images)
        and torch.equal(first.masks, second.masks)
        and all(map(torch.equal, first.instances, second.instances))
    )


def test_what_a_batch_is(items: tuple[Item, ...]) -> None:
    with loader(items) as batches:
        assert len(batches) == 3
        made = list(batches.epoch(0))
    assert len(made) == 3
    forged = 0
    for batch in made:
        assert batch.images.shape == (4, 3, 64, 64) and batch.images.dtype == torch.float32
        assert batch.images.min() >= 0 and batch.images.max() <= 1
        assert batch.masks.shape == (4, 1, 64, 64) and batch.masks.dtype == torch.float32
        assert set(batch.masks.unique().tolist()) <= {0.0, 1.0}
        for number, (instances, case_id) in enumerate(
            zip(batch.instances, batch.case_ids, strict=True)
        ):
            assert instances.dtype == torch.uint8 and instances.shape[1:] == (64, 64)
            union = instances.amax(0) if len(instances) else torch.zeros(64, 64)
            assert torch.equal(batch.masks[number, 0], union.float())
            assert not len(instances) or "forged" in case_id
            forged += "forged" in case_id
    assert forged == 6


def test_ela_gives_six_channels(items: tuple[Item, ...]) -> None:
    data = DataSettings(size=64, ela=True)
    plain = dataclasses.replace(data, ela=False)
    for settings, channels in ((data, 6), (plain, 3)):
        with make_loader(
            items, settings, AugmentSettings(), settings.preprocess, batch=2, seed=0
        ) as made:
            batch = next(made.epoch(0))
        assert batch.images.shape == (2, channels, 64, 64)
        sheet = contact_sheet(batch, columns=1)
        assert sheet.dtype == np.uint8 and sheet.shape[1:] == (64 + 2 * 4, 3)
        assert sheet.shape[0] == 4 + 2 * (16 + 64 * channels // 3 + 4)


def test_workers_change_nothing_and_live_over_epochs(items: tuple[Item, ...]) -> None:
    with loader(items) as alone, loader(items, workers=2) as many:
        for epoch in (0, 3):
            pairs = zip(alone.epoch(epoch), many.epoch(epoch), strict=True)
            assert all(same(first, second) for first, second in pairs)
        next(many.epoch(4))  # left in the middle
        pairs = zip(alone.epoch(5, 1), many.epoch(5, 1), strict=True)
        assert all(same(first, second) for first, second in pairs)


def test_epochs_differ_and_go_on_where_they_stopped(items: tuple[Item, ...]) -> None:
    with loader(items) as batches:
        first, second = list(batches.epoch(0)), list(batches.epoch(1))
        rest = list(batches.epoch(0, start=2))
        assert list(batches.epoch(0, start=3)) == []
    assert not any(same(a, b) for a, b in zip(first, second, strict=True))
    assert len(rest) == 1 and same(rest[0], first[2])


def test_ranks_see_what_one_process_sees(items: tuple[Item, ...]) -> None:
    with (
        loader(items) as one,
        loader(items, batch=2, rank=0, world=2) as left,
        loader(items, batch=2, rank=1, world=2) as right,
    ):
        for whole, a, b in zip(one.epoch(1), left.epoch(1), right.epoch(1), strict=True):
            assert torch.equal(whole.images[0::2], a.images)
            assert torch.equal(whole.images[1::2], b.images)


def test_torchs_own_generator_is_left_alone(items: tuple[Item, ...]) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with loader(items) as batches:
        list(batches.epoch(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Item, ...]]:
    yield read_index(write_set(tmp_path, 6)).items


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_went_bad_is_replaced_and_told_once(
    own: tuple[Item, ...], capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    bad = next(item for item in own if item.forged)
    bad.case.image.write_bytes(b"\x89PNG\r\n\x1a\nrest")
    with loader(own, workers=workers) as batches:
        first = list(batches.epoch(0))
        again = list(batches.epoch(0))
        assert batches.problems == {str(bad.case.image): 2}
    assert all(map(same, first, again))
    assert all(bad.case.case_id not in batch.case_ids for batch in first)
    told = capsys.readouterr().err
    assert told.count("Another image of its class") == 1 and bad.case.image.name in told
    forged = [case_id for batch in first for case_id in batch.case_ids if "forged" in case_id]
    assert len(forged) == 6, "the image in its place is of its class"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_went_away_ends_the_run(own: tuple[Item, ...], workers: int) -> None:
    shutil.rmtree(own[0].case.image.parents[1])
    with (
        loader(own, workers=workers) as batches,
        pytest.raises(ForgeError, match="cannot be read any more") as caught,
    ):
        list(batches.epoch(0))
    assert "Traceback" not in str(caught.value)


def test_without_items_there_is_no_loader() -> None:
    with pytest.raises(ForgeError, match="no images"):
        loader(())


def samples(items: tuple[Item, ...], cache_bytes: int) -> Samples:
    data, none = DataSettings(size=32), AugmentSettings.none()
    return Samples(items, data, none, Preprocess(size=32), seed=0, cache_bytes=cache_bytes)


def test_the_cache_changes_nothing_and_keeps_to_its_limit(
    items: tuple[Item, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from forgecli.train import samples as module

    read: list[str] = []
    reader = module.read_picture

    def counted(case, *rest):  # type: ignore[no-untyped-def]
        read.append(case.case_id)
        return reader(case, *rest)

    monkeypatch.setattr(module, "read_picture", counted)
    one_picture = 60 * 80 * 3 + 60 * 10
    for cache_bytes, reads in ((0, 24), (one_picture * 12, 12), (one_picture * 5, 12 + 7)):
        read.clear()
        plain, cached = samples(items, 0), samples(items, cache_bytes)
        made = [cached[0, position, position % 12] for position in range(24)]
        assert len(read) in (reads, reads + 1)  # authentic pictures take a little less
        read.clear()
        for position, sample in enumerate(made):
            expected = plain[0, position, position % 12]
            assert (sample.image == expected.image).all()
            assert (sample.instances == expected.instances).all()


@pytest.mark.slow
def test_workers_ignore_ctrl_c_and_one_that_is_killed_is_told(items: tuple[Item, ...]) -> None:
    data = DataSettings(size=64, epoch_samples=4000)
    with make_loader(
        items, data, AugmentSettings(), data.preprocess, batch=4, seed=0, workers=1
    ) as batches:
        epoch = batches.epoch(0)
        next(epoch)
        (worker,) = multiprocessing.active_children()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGINT)
        for _ in range(5):
            next(epoch)
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(ForgeError, match="lack of memory"):
            list(epoch)
