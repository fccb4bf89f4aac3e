from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kernels import jit

REPOSITORY = Path(__file__).parents[2]


def python(code: str, **environment: str) -> str:
    """What `code` prints in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_first_run_says_that_it_compiles_and_the_second_does_not(tmp_path: Path) -> None:
    code = (
        "from kernels import jit; jit.on_first_compile(print)\n"
        "twice = jit.kernel('int64(int64)')(lambda n: 2 * n); print(twice(21))"
    )
    script = tmp_path / "twice.py"
    script.write_text(code)
    run = f"import runpy; runpy.run_path({str(script)!r})"
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert python(run, **cache) == "compiling kernels (first run only)\n42\n"
    assert python(run, **cache) == "42\n"


def test_a_place_is_found_where_numba_has_none(tmp_path: Path) -> None:
    code = (
        "import numba.core.caching as caching\n"
        "own = caching.UserProvidedCacheLocator\n"
        "caching.CacheImpl._locator_classes = [own]\n"  # as if no other place could be written to
        "from kernels import jit; import numba\n"
        "print(numba.config.CACHE_DIR)\n"
        "print(jit.kernel('int64(int64)')(lambda n: n + 1)(1))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    run = f"import runpy; runpy.run_path({str(script)!r})"
    place, result = python(run, TMPDIR=str(tmp_path), NUMBA_CACHE_DIR="").split()
    assert Path(place).parent == tmp_path
    assert Path(place).is_dir()
    assert result == "2"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no owner to check")
class TestTemporaryCache:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def test_it_is_private_and_the_same_each_time(self) -> None:
        folder = jit._temporary_cache()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert jit._temporary_cache() == folder

    def test_a_folder_that_others_can_write_to_is_not_used(self, tmp_path: Path) -> None:
        planted = jit._temporary_cache()
        planted.chmod(0o777)
        folder = jit._temporary_cache()
        assert folder != planted
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_neither_is_a_link_nor_a_file(self, tmp_path: Path) -> None:
        planted = jit._temporary_cache()
        planted.rmdir()
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        planted.symlink_to(tmp_path / "elsewhere")
        assert jit._temporary_cache() != planted
        planted.unlink()
        planted.write_text("")
        assert jit._temporary_cache() != planted


def test_a_readonly_signature_takes_both_kinds_of_arrays() -> None:
    import numpy as np

    total = jit.kernel(f"int64({jit.readonly('uint8', 1)})")(_total)
    assert total(np.frombuffer(b"\x01\x02", np.uint8)) == 3
    assert total(np.array([1, 2], np.uint8)) == 3


def _total(values: object) -> int:
    total = 0
    for value in values:  # type: ignore[attr-defined]
        total += value
    return total
