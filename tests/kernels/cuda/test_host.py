"""The host's stand-in for a GPU notices what a GPU would not forgive."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cuda.device import pointer
from kernels.cuda.source import body, names
from tests.kernels.cuda import host
from tests.kernels.cuda.host import HostDevice, check_launch, needs_compiler, parameters

ROW = """
KERNEL void row(const int* given, int size, double unused, int* made) {
    SHARED int own[8];
    EACH_THREAD(t) {
        own[t] = given[t];%s
        made[t] = t == 0 ? 0 : own[t - 1];
    }
}"""
WAITS = "\n    }\n    EACH_THREAD(t) {"


def run(device: HostDevice) -> list[int]:
    given, made = np.arange(1, 9, dtype=np.int32), np.empty(8, np.int32)
    there, out, stream = device.allocate(32), device.allocate(32), device.stream()
    device.upload(given, there, stream)
    arguments = (pointer(there), np.int32(8), np.float64(0), pointer(out))
    device.launch("row", "row", (1, 1), 8, arguments, stream)
    device.download(out, made, stream)
    return [int(each) for each in made]


@needs_compiler
@pytest.mark.parametrize("waits", [True, False])
def test_a_thread_that_does_not_wait_for_the_others(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "body", lambda name: ROW % (WAITS if waits else ""))
    host.library.cache_clear()
    host.parameters.cache_clear()
    try:
        right = [0, 1, 2, 3, 4, 5, 6, 7]
        assert run(HostDevice()) == right
        assert (run(HostDevice(backwards=True)) == right) == waits
    finally:
        host.library.cache_clear()
        host.parameters.cache_clear()


def test_every_kernel_has_parameters_that_are_known() -> None:
    kernels = [
        (name, line.split("(")[0].split()[-1])
        for name in names()
        for line in body(name).splitlines()
        if line.startswith("KERNEL void ")
    ]
    assert len(kernels) > 20
    assert all(parameters(*each) for each in kernels)


SUM_DIGITS = (np.uintp(0), np.int32(1))


def test_arguments_of_another_type() -> None:
    check_launch("morton", "sum_digits", (1, 1), SUM_DIGITS)
    for wrong in ((np.uintp(0), np.int64(1)), (np.int32(1), np.uintp(0)), SUM_DIGITS[:1]):
        with pytest.raises(AssertionError, match="sum_digits takes"):
            check_launch("morton", "sum_digits", (1, 1), wrong)


@pytest.mark.parametrize("grid", [(0, 1), (1, 0), (2**31, 1), (1, 65_536)])
def test_grids_that_cuda_does_not_have(grid: tuple[int, int]) -> None:
    check_launch("morton", "sum_digits", (2**31 - 1, 65_535), SUM_DIGITS)
    with pytest.raises(AssertionError, match="no grid of CUDA's"):
        check_launch("morton", "sum_digits", grid, SUM_DIGITS)
