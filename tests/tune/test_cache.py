from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.base import Engine, Images, Logits, Spec
from forgecli.tune.cache import CachedEngine


class Counting(Engine):
    """Logits that no float16 holds; counts what it is asked."""

    def __init__(self, factor: float = 1 / 3, precision: str = "fp32") -> None:
        self.spec = Spec(multiple=4, outputs=2, precision=precision)  # type: ignore[arg-type]
        self.asked = 0
        self.factor = factor

    def _infer(self, images: Images) -> Logits:
        self.asked += len(images)
        grey = images.mean(axis=1, keepdims=True) * np.float32(self.factor)
        return np.concatenate([grey, -grey], axis=1)


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(0).random((3, 3, 8, 12), np.float32)


def test_the_second_time_the_network_is_not_run(tmp_path: Path, images: Images) -> None:
    first, second = Counting(), Counting()
    one = CachedEngine(tmp_path, "weights", first).infer(images)
    two = CachedEngine(tmp_path, "weights", second).infer(images)
    assert (first.asked, second.asked) == (3, 0)
    assert np.array_equal(one, two)
    np.testing.assert_allclose(one, Counting().infer(images), rtol=1e-3)


def test_only_what_is_new_is_run(tmp_path: Path, images: Images) -> None:
    CachedEngine(tmp_path, "weights", Counting()).infer(images[[1]])
    engine = Counting()
    cached = CachedEngine(tmp_path, "weights", engine)
    mixed = cached.infer(images)
    assert engine.asked == cached.misses == 2
    assert cached.hits == 1
    np.testing.assert_allclose(mixed, Counting().infer(images), rtol=1e-3)


def test_other_weights_precision_or_pixels_are_not_found(tmp_path: Path, images: Images) -> None:
    CachedEngine(tmp_path, "weights", Counting()).infer(images)
    for weights, precision, seen in (
        ("others", "fp32", images),
        ("weights", "bf16", images),
        ("weights", "fp32", images[:, :, :, ::-1]),
    ):
        engine = Counting(precision=precision)
        CachedEngine(tmp_path, weights, engine).infer(seen)
        assert engine.asked == 3


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "other shape", "a byte"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, images: Images, damage: str) -> None:
    expected = CachedEngine(tmp_path, "weights", Counting()).infer(images[:1])
    (entry,) = tmp_path.rglob("*.npz")
    data = entry.read_bytes()
    if damage == "other shape":
        np.savez_compressed(entry, logits=np.zeros((2, 4, 4), np.float16))
    elif damage == "a byte":  # in what is compressed: neither the list of entries nor a length
        middle = len(data) // 2
        entry.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    else:
        entry.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "other": b"x" * 99}[damage])
    engine = Counting()
    assert np.array_equal(CachedEngine(tmp_path, "weights", engine).infer(images[:1]), expected)
    assert engine.asked == 1
    assert entry.read_bytes() == data


def test_what_is_not_finite_is_given_but_not_kept(tmp_path: Path, images: Images) -> None:
    cached = CachedEngine(tmp_path, "weights", Counting(float("nan")))
    assert np.isnan(cached.infer(images)).all()
    assert not list(tmp_path.rglob("*.npz"))


def test_large_logits_stay_finite(tmp_path: Path, images: Images) -> None:
    logits = CachedEngine(tmp_path, "weights", Counting(1e9)).infer(images)
    assert np.isfinite(logits).all()
