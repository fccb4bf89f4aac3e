"""What `forge predict` does with an ``.onnx``, without what makes it safe.

One process, and OpenVINO's asynchronous requests in it: threads decode, prepare and finish, and the
network works on as many requests as OpenVINO asks for in throughput mode. `forge predict` has the
same in a process of its own beside the one that writes rows, so that a picture that ends a process
costs one row. What that costs, the comparison with this says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.views import refuse_tiles
from engines.openvino import the_core
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.segment.checkpoint import Card
from forgecli.segment.onnx_file import spec_of
from forgecli.segment.preprocess import to_input
from forgecli.segment.thresholds import Thresholds

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A picture as the network takes it.

    Attributes:
        array: float32 (1, C, h, w), padded.
        view: (h, w) that is not padding.
        shape: (H, W) of the picture.
    """

    name: str
    array: NDArray[np.float32]
    view: tuple[int, int]
    shape: tuple[int, int]


def asynchronous(card: Card, onnx: Path, files: Sequence[Path], threads: int) -> Iterator[Row]:
    """Ids and annotations; before the first an empty row, once the network is loaded.

    Args:
        card: of the network; its view is ``resize``, for no tiles are put together here.
        onnx: the network.
        files: pictures.
        threads: that decode, prepare and finish.

    Raises:
        SystemExit: the view is another.
    """
    refuse_tiles(card)
    spec = spec_of(card, onnx)
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    model = the_core().compile_model(str(onnx), "CPU", settings)
    idle = deque(
        model.create_infer_request()
        for _ in range(int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
    )
    ahead = 2 * len(idle) + threads  # pictures decoded before a request is free for them

    def ready(file: Path) -> _Ready:
        picture, _ = read_picture(Case(file.stem, file))
        seen = to_input(picture.pixels, card.preprocess, spec.multiple, spec.size)
        shape = (picture.pixels.shape[0], picture.pixels.shape[1])
        return _Ready(file.stem, seen.array[None], seen.shape, shape)

    yield ("", "")
    left = iter(files)
    reading: deque[Future[_Ready]] = deque()
    running: deque[tuple[Any, _Ready]] = deque()
    finishing: deque[Future[Row]] = deque()
    with ThreadPoolExecutor(threads, initializer=_alone) as pool:

        def ended() -> None:
            """The request that has been at work for longest gives its logits and is free."""
            request, of = running.popleft()
            request.wait()
            logits = request.get_output_tensor(0).data[0, :, : of.view[0], : of.view[1]].copy()
            idle.append(request)
            finishing.append(pool.submit(_finished, of, logits, card.thresholds))

        while True:
            while len(reading) < ahead and (file := next(left, None)) is not None:
                reading.append(pool.submit(ready, file))
            if not reading:
                break
            picture = reading.popleft().result()
            if not idle:
                ended()
            request = idle.popleft()
            request.start_async([picture.array], share_inputs=True)
            running.append((request, picture))
            while finishing and finishing[0].done():
                yield finishing.popleft().result()
        while running:
            ended()
        while finishing:
            yield finishing.popleft().result()


def _finished(of: _Ready, logits: NDArray[np.float32], thresholds: Thresholds) -> Row:
    from forgecli.segment.instances import instances_of, score_of
    from forgecli.segment.maps import at_full_size
    from kernels.rle import annotation_to_text

    whole = at_full_size(logits, of.shape)
    if score_of(whole, thresholds) < thresholds.gate:
        return of.name, "authentic"
    found = [instance.runs for instance in instances_of(whole, thresholds)]
    return of.name, annotation_to_text(found) if found else "authentic"


def _alone() -> None:
    """One thread for each library in each of our threads, as in the processes of forge."""
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
