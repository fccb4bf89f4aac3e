"""What of `CupyDevice` runs without a GPU and without CuPy."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from kernels.cuda import cupy_device
from kernels.cuda.cupy_device import CupyDevice


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
