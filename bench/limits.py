"""What no program can beat: the engine alone on ready input, and decoding alone."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench.views import pillow_rgb, shown
from engines.openvino import silent_openvino, the_core
from forgecli.segment.checkpoint import Card


def bare_engine(card: Card, onnx: Path, files: Sequence[Path], chunk: int = 64) -> float:
    """Seconds that OpenVINO alone takes for all pictures, their input lying ready.

    As its own benchmark does it: throughput mode, all cores, as many requests as it asks for, and
    every picture to whichever is free.
    """
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,  # as in our engine
    }
    model = the_core().compile_model(str(onnx), "CPU", settings)
    queue = silent_openvino().AsyncInferQueue(model)
    seconds = 0.0
    for start in range(0, len(files), chunk):
        ready = []
        for file in files[start : start + chunk]:
            small, _ = shown(pillow_rgb(file), card.preprocess.size)
            ready.append(small.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))
        if start == 0:
            for _ in range(len(queue)):
                queue.start_async([ready[0]], share_inputs=True)
            queue.wait_all()
        started = perf_counter()
        for array in ready:
            queue.start_async([array], share_inputs=True)
        queue.wait_all()
        seconds += perf_counter() - started
    return seconds


def decode_only(files: Sequence[Path], workers: int) -> float:
    """Seconds for reading and decoding all pictures in so many processes."""
    with get_context("spawn").Pool(workers) as pool:
        pool.map(_decoded, files[: 2 * workers], chunksize=1)
        started = perf_counter()
        for _ in pool.imap_unordered(_decoded, files, chunksize=1):
            pass
        return perf_counter() - started


def _decoded(file: Path) -> int:
    from forgecli.cases.decode import read_picture
    from forgecli.detection import Case

    cv2.setNumThreads(1)
    return int(read_picture(Case(file.stem, file))[0].pixels.size)
