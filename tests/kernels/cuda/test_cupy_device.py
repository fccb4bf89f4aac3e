"""What of `CupyDevice` runs without a GPU and without CuPy."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from kernels.cuda import cupy_device
from kernels.cuda.compile import require
from kernels.cuda.cupy_device import CupyDevice


def test_a_compiler_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy looks for it when it compiles: without this, in the middle of the first batch."""
    nvrtc = pytest.importorskip("cupy.cuda.nvrtc", reason="CuPy is not installed")
    require()  # it is here

    def missing() -> None:
        raise RuntimeError('Failure finding "libnvrtc.so.13"\nmore of it')

    monkeypatch.setattr(nvrtc, "getVersion", missing)
    with pytest.raises(ImportError, match=r"libnvrtc\.so\.13.*pip install nvidia-cuda-nvrtc"):
        require()


def test_a_source_is_loaded_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    device = object.__new__(CupyDevice)
    device._modules, device._kernels, device._architecture = {}, {}, 90
    device._loading, device._cupy = threading.Lock(), Mock()
    device._cupy.cuda.function.Module.side_effect = lambda: Mock()

    def slowly(*_: object) -> tuple[bytes, str]:
        time.sleep(0.05)
        return b"", ""

    monkeypatch.setattr(cupy_device, "compiled", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: device._function("moved", "correlations"), range(4)))
    assert device._cupy.cuda.function.Module.call_count == 1
    assert all(each is found[0] for each in found)
