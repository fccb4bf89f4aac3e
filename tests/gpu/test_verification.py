"""The comparing and verifying kernels on a GPU that is really busy: large images, several streams.

What can be tested without one is in tests/kernels/cuda.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from bench.gpu_verify import Sides, lists_agree
from kernels.cuda.verification import Verification
from kernels.nearest import most_similar
from tests.kernels.cuda.test_verification import copies

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        yield CupyDevice()
    except RuntimeError as error:
        pytest.skip(str(error))


def test_a_whole_image_agrees_with_the_cpu(gpu: Any) -> None:
    Sides(gpu, 800).check()


def test_many_descriptors_are_shared_out_among_slices(gpu: Any) -> None:
    random = np.random.default_rng(0)
    width = 128
    descriptors = np.sqrt(random.dirichlet(np.ones(width) / 4, 6000)).astype(np.float32)
    points = random.uniform(0, 2000, (6000, 2))
    mirror = np.arange(width).reshape(-1, 2)[:, ::-1].ravel().copy()
    ours = Verification(gpu).most_similar(descriptors, mirror, points, apart=12.0, k=4)
    theirs = most_similar(descriptors, mirror, points, apart=12.0, k=4)
    assert lists_agree(theirs, ours)
    for _, value in theirs:  # most neighbours are well ahead of the next
        assert (value[:, 0] - value[:, 1] > 1e-5).mean() > 0.9


def test_again_and_again_the_same_to_the_last_bit(gpu: Any) -> None:
    image, matches = copies((300, 300), 2000, 1)
    verification = Verification(gpu)
    first = (*verification.refine(image, matches), verification.extent(image, image, matches))
    for _ in range(10):  # a race may not show the first time
        more = (*verification.refine(image, matches), verification.extent(image, image, matches))
        for one, other in zip(first, more, strict=True):
            np.testing.assert_array_equal(one, other)


def test_four_threads_at_once(gpu: Any) -> None:
    image, matches = copies((300, 300), 1000, 2)
    expected = Verification(gpu).refine(image, matches)

    def often(_: int) -> bool:
        own = Verification(gpu)
        return all(
            np.array_equal(one, other)
            for _ in range(10)
            for one, other in zip(own.refine(image, matches), expected, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(often, range(4)))
