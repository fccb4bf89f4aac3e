"""The devices that the CUDA kernels are tested on: the host always, a GPU where there is one."""

from __future__ import annotations

import pytest

from kernels.cuda.device import Device
from tests.kernels.cuda.host import HostDevice, needs_compiler


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("host", marks=needs_compiler),
        pytest.param("backwards", marks=needs_compiler),
        pytest.param("gpu", marks=pytest.mark.gpu),
    ],
)
def device(request: pytest.FixtureRequest) -> Device:
    """A device; the GPU is skipped where CuPy finds none.

    What is right in one order of a block's threads only lacks an `EACH_THREAD` of its own, which is
    where they wait for one another; so the host has them in two.
    """
    if request.param != "gpu":
        return HostDevice(backwards=request.param == "backwards")
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        return CupyDevice()
    except RuntimeError as error:
        pytest.skip(str(error))
