"""Timings of former builds, with what stands for a builder's configuration."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.tensorrt_library import Library
from engines.timing_cache import attach, keep, write_whole
from tests.engines.fake_tensorrt import FakeLogger, FakeSeverity

OURS = b"timings of 11.0"


class Config:
    """Takes caches that are empty or begin with `OURS`, as TensorRT takes those of its version."""

    def __init__(self, library: Library, *, raises: bool = False) -> None:
        self.log, self.raises = library.logger, raises
        self.used: bytes | None = None
        self.ignoring: bool | None = None

    def create_timing_cache(self, data: bytes) -> Any:
        if data and not data.startswith(OURS):
            if self.raises:
                raise RuntimeError("cannot")
            self.log.log(FakeSeverity.WARNING, "Failed to deserialize timing cache.")
            data = b""
        return SimpleNamespace(data=data)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.used, self.ignoring = cache.data, ignore_mismatch
        return True

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: memoryview(OURS + b" and more"))


@pytest.fixture
def library() -> Library:
    return Library("tensorrt", SimpleNamespace(ILogger=FakeLogger), "11.0")


def test_the_first_build_begins_a_cache_and_the_next_uses_it(
    tmp_path: Path, library: Library
) -> None:
    file = tmp_path / "a" / "timings"
    config = Config(library)
    assert attach(library, config, file) == ""
    assert config.used == b"" and config.ignoring is False
    assert keep(library, config, file) == ""
    assert file.read_bytes() == OURS + b" and more"
    config = Config(library)
    assert attach(library, config, file) == ""
    assert config.used == OURS + b" and more"


@pytest.mark.parametrize("raises", [False, True])
def test_a_cache_of_another_version_is_told_and_replaced(
    tmp_path: Path, library: Library, raises: bool
) -> None:
    file = tmp_path / "timings"
    file.write_bytes(b"timings of 10.9")
    config = Config(library, raises=raises)
    note = attach(library, config, file)
    assert str(file) in note and "another version" in note
    assert config.used == b"", "a new one is begun"
    keep(library, config, file)
    assert file.read_bytes().startswith(OURS)


def test_a_cache_that_cannot_be_read_or_written(tmp_path: Path, library: Library) -> None:
    config = Config(library)
    assert "cannot be read" in attach(library, config, tmp_path)
    assert config.used == b""
    (tmp_path / "file").touch()
    assert "cannot be written" in keep(library, config, tmp_path / "file" / "timings")


def test_tensorrt_for_rtx_is_not_asked(tmp_path: Path) -> None:
    rtx = Library("rtx", SimpleNamespace(), "1.7")
    assert "not used" in attach(rtx, None, tmp_path / "timings")
    assert keep(rtx, None, tmp_path / "timings") == ""


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "timings"
    write_whole(file, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
