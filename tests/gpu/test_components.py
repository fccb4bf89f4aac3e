"""Components on a GPU where it is really busy: many blocks at once, several lanes at once.

What can be tested without one is in tests/kernels/cuda.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.components import components
from kernels.cuda.components import ComponentFinder, split
from kernels.cuda.finish import Finisher
from kernels.grouped import group
from tests.kernels.cuda.masks import drawn, packed
from tests.kernels.cuda.test_components import check_equal
from tests.kernels.cuda.test_finish import check, maps, on_device, table_for

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        yield CupyDevice()
    except RuntimeError as error:
        pytest.skip(str(error))


def large() -> list[NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    noisy = [random.random((1536, 1024)) < share for share in (0.1, 0.407, 0.593, 0.9)]
    return [*noisy, *drawn(800).values()]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_large_masks_again_and_again(gpu: Any, connectivity: Literal[4, 8]) -> None:
    masks = large()
    expected = [components(mask, connectivity, 3) for mask in masks]
    table, words = packed(masks, 3)
    most = 400_000
    finder = ComponentFinder(
        gpu,
        images=len(masks),
        words=words.size,
        most=most,
        connectivity=connectivity,
    )
    stream = gpu.stream()
    given, rows = gpu.allocate(words.nbytes), gpu.allocate(table.nbytes)
    gpu.upload(words, given, stream)
    gpu.upload(table, rows, stream)
    found = np.empty((len(masks), 2), np.uint32)
    copied = np.empty((most * len(masks), 3), np.int32)
    for _ in range(10):  # a race may not show the first time
        finder.enqueue(stream, given, table, rows)
        gpu.download(finder.found, found, stream)
        gpu.download(finder.copied, copied, stream)
        gpu.event(stream).wait()
        pieces = split(found, copied)
        for mask, own, (total, _), theirs in zip(masks, pieces, found, expected, strict=True):
            assert total <= most
            check_equal(group(own, len(mask), int(total)), theirs)


def test_four_lanes_at_once(gpu: Any) -> None:
    table = table_for([(1000, 900), (300, 1400), (2000, 700)], [(60, 64), (64, 50), (64, 64)], 0, 5)
    lanes = []
    for _ in range(4):
        finisher = Finisher(gpu, images=3, pixels=4_000_000)
        lanes.append((finisher, gpu.stream()))
    for turn in range(5):
        under_way = []
        for lane, (finisher, stream) in enumerate(lanes):
            logits = maps(10 * turn + lane, (3, 1, 64, 64))
            buffer = on_device(gpu, stream, logits)
            ticket = finisher.enqueue(stream, buffer, (3, 1, 64, 64), table)
            under_way.append((ticket, logits, buffer))
        for ticket, logits, _ in under_way:
            while not ticket.ready():
                pass
            check(ticket.results(), logits, table)
