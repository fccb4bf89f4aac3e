"""The dense field on a GPU where it is really busy: large grids, again and again, two streams.

What can be tested without one is in tests/kernels/cuda.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from bench.dense_sides import Sides, drawn
from kernels import coherence, zernike
from kernels.cuda.dense import DenseOnDevice
from kernels.field import Field

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        yield CupyDevice()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("side", [97, 512, 1023])
def test_every_stage_gives_what_the_cpu_gives(gpu: Any, side: int) -> None:
    sides = Sides(gpu, gpu.stream(), drawn(side))
    for _ in range(3):  # a race may not show the first time
        sides.check()


def found(gpu: Any, side: int) -> list[Field]:
    dense, fields = DenseOnDevice(gpu, gpu.stream()), []
    for seed in (0, 1, 0, 1):
        moments = dense.describe(drawn(side, seed), radius=8, stride=2, lift=0.5)
        usable = np.ones(moments.energy.shape, bool)
        field = dense.find_field(moments, usable, apart=16, tables=3, worth=0.85)
        counts, there = dense.agreeing(field), dense.field_of(field)
        np.testing.assert_array_equal(counts, coherence.agreeing(there))
        expected = zernike.describe(drawn(side, seed), radius=8, stride=2, lift=0.5)
        np.testing.assert_array_equal(moments.energy, expected.energy)
        fields.append(there)
    return fields


def test_two_streams_at_once_and_again(gpu: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        lanes = list(pool.map(lambda side: found(gpu, side), (600, 600)))
    for fields in lanes:
        for number, field in enumerate(fields):
            for part, same in zip(field.parts(), lanes[0][number % 2].parts(), strict=True):
                np.testing.assert_array_equal(part, same)
