"""Measures a detector on this machine within a given time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forgecli.bench.crews import Maker, rates
from forgecli.bench.findings import Findings, Setup
from forgecli.bench.pictures import drawn, readable
from forgecli.bench.stages import all_of, all_of_segment, computing, decoding, detecting
from forgecli.bench.whole import whole_job
from forgecli.cores import available_cores
from forgecli.detection import Case
from forgecli.errors import UsageError
from forgecli.predict.detectors import TABLES, Chosen, choose
from forgecli.predict.settings import PredictSettings
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.settings import SegmentSettings
from forgecli.stream.way import way_of

SHARES = {"stages": 0.25, "decode": 0.1, "core": 0.25, "whole": 0.4}
"""Of the time that is given; starts come on top of it."""

_MOST_PICTURES = 48


def measure(
    subject: str,
    folder: Path | None = None,
    *,
    seconds: float = 60.0,
    workers: int | None = None,
    network: Mapping[str, Any] | None = None,
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> Findings:
    """Take predict apart on the user's images, or on drawn ones, and time its parts.

    Args:
        subject: the file of a network, or ``match``.
        folder: images; None: they are drawn.
        seconds: of measuring, in all; starting processes comes on top.
        workers: as of `forge predict`.
        network: flags of the table ``[segment]``.
        note: told what is being measured.
        warn: told what a user should know.

    Raises:
        UsageError: no such model, device, folder; no image that can be read.
        ForgeError: a model cannot be used.
    """
    if seconds <= 0:
        raise UsageError("the time is to be more than 0 seconds.", mend="check --seconds")
    settings = PredictSettings(
        detector="match" if subject == "match" else "segment",
        model=None if subject == "match" else Path(subject),
    )
    flags = dict(network or {})
    chosen = choose(settings, config={table: {} for table in TABLES}, file=None,
                    environment=os.environ, network=flags)  # fmt: skip
    for text in chosen.notes:
        note(text)
    plan = _plan(settings, flags)
    way = way_of(chosen, settings)
    for text in way.notes:
        note(text)
    cores = available_cores()
    count = workers or min(cores, way.most_workers or cores)
    settings = replace(settings, workers=count)
    with TemporaryDirectory(prefix="forge-bench-") as scratch:
        if folder is None:
            note("drawing pictures; name a folder to measure with your own")
            cases = drawn(Path(scratch))
        else:
            cases = readable([folder], _MOST_PICTURES, warn)
        return _measured(cases, chosen, plan, settings, count, seconds, folder is not None, note)


def _measured(
    cases: list[Case],
    chosen: Chosen,
    plan: SegmentPlan | None,
    settings: PredictSettings,
    workers: int,
    seconds: float,
    own: bool,
    note: Callable[[str], None],
) -> Findings:
    on_gpu = plan is not None and plan.device != "cpu"
    lanes = workers if chosen.make_shared else 1
    processes = 1 if on_gpu or chosen.make_shared else workers
    threads = max(1, available_cores() // (processes * lanes))
    everything: Maker
    core: Maker
    if plan is None:
        everything = partial(all_of, cases, chosen.make, chosen.threshold)
        core = partial(detecting, cases, chosen.make)
    else:
        everything = partial(all_of_segment, cases, plan, lanes)
        core = partial(computing, cases, plan, lanes)
    phases = {name: (maker, SHARES[name] * seconds)
              for name, maker in (("stages", everything), ("core", core))}  # fmt: skip
    read = {"decode": (partial(decoding, cases), SHARES["decode"] * seconds)}
    side = f", {lanes} images side by side" if lanes > 1 else ""
    note(f"the parts, in {processes} process{'es' if processes > 1 else ''}{side}")
    if processes == workers:
        phases |= read
    found, taken = rates(phases, len(cases), processes=processes, threads=threads, lanes=lanes)
    if processes != workers:  # one process feeds the network, and decoding has all cores
        found |= rates(read, taken, processes=workers, threads=1)[0]
    cases = cases[:taken]
    wanted = found["stages"].per_second * SHARES["whole"] * seconds
    images = max(round(wanted / taken), 1) * taken
    images += -(-max(3 * workers - images, 0) // taken) * taken  # enough for all workers
    note(f"the whole job, {images} images")
    whole = whole_job(cases, images, chosen, settings)
    setup = _setup(cases, chosen, plan, workers, threads, own)
    return Findings(setup, found["stages"], found["decode"], found["core"], whole)


def _plan(settings: PredictSettings, flags: Mapping[str, Any]) -> SegmentPlan | None:
    """How the network is used, as `choose` settles it; None for match."""
    if settings.model is None:
        return None
    from forgecli.predict.detectors import segment_settings

    asked: SegmentSettings = segment_settings({}, None, os.environ, flags)
    return SegmentPlan.of(settings.model, asked)


def _setup(
    cases: list[Case],
    chosen: Chosen,
    plan: SegmentPlan | None,
    workers: int,
    threads: int,
    own: bool,
) -> Setup:
    from forgecli.cases.header import read_size
    from forgecli.doctor.ask import nvidia_driver

    sizes = [read_size(case.image).pixels for case in cases]
    return Setup(
        label=plan.model if plan else chosen.name,
        engine=plan.engine if plan else "",
        device=plan.device if plan else "cpu",
        precision=plan.precision if plan else "",
        workers=workers,
        threads=threads,
        cores=available_cores(),
        view=plan.preprocess.view if plan else "",
        tta=plan.tta if plan else "",
        suffix=plan.weights.suffix.lower() if plan else "",
        own=own,
        pictures=len(cases),
        megapixels=sum(sizes) / len(sizes) / 1e6,
        gpu=bool(nvidia_driver().gpus),
        shared=chosen.make_shared is not None,
    )
