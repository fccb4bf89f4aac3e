"""Which way the images of a job take: the GPU path, or the ordinary one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from forgecli.cores import available_cores
from forgecli.errors import UsageError
from forgecli.predict.detectors import Chosen
from forgecli.predict.job import MakePool
from forgecli.predict.pool import Pool
from forgecli.predict.settings import PredictSettings
from forgecli.segment.plan import SegmentPlan


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a job.

    Attributes:
        make_pool, most_workers: for `forgecli.predict.job.run`.
        notes: what a user may want to know of it.
    """

    make_pool: MakePool
    most_workers: int | None
    notes: tuple[str, ...] = ()


def way_of(chosen: Chosen, settings: PredictSettings, *, typed: bool = False) -> Way:
    """The GPU path where it can be taken, and else the ordinary one; then a note says why.

    Args:
        chosen: the detector.
        settings: of the job.
        typed: whether ``--streams`` was given on the command line. A settings file may say more
            than one job needs; who types an option wants its effect.

    Raises:
        UsageError: ``--streams`` was typed, and there are none.
    """
    plan = chosen.network
    if plan is None or not plan.device.startswith("cuda"):
        if typed:
            raise _idle("match has no network" if plan is None else "this network is not on a GPU")
        shared = chosen.make_shared
        return Way(partial(Pool, shared=shared) if shared else Pool, chosen.most_workers)
    why = why_not(plan, settings)
    if chosen.name == "fused":
        why = "match, which fused asks first, has no streams"
    if why is not None:
        if typed:
            raise _idle(why)
        return Way(Pool, chosen.most_workers, (f"one image at a time, not the GPU path: {why}",))
    from forgecli.stream.open import open_lanes
    from forgecli.stream.pool import StreamPool

    pool = partial(StreamPool, plan=plan, streams=settings.streams, open_lanes=open_lanes)
    return Way(pool, max(1, available_cores() - 1))  # one core keeps the GPU at work


def _idle(why: str) -> UsageError:
    return UsageError(f"--streams has nothing to do: {why}.", mend="leave out --streams")


def why_not(plan: SegmentPlan, settings: PredictSettings) -> str | None:
    """Why a network's pictures take the ordinary path; None if they go the GPU path.

    Args:
        plan: of the network; it is on an NVIDIA GPU.
        settings: of the job.
    """
    if settings.workers == 0:
        return "--workers 0 keeps all work in one process"
    if plan.engine not in ("torch", "tensorrt"):
        return f"{plan.engine} has no streams"
    if plan.engine == "torch" and plan.graphs:
        return "there, graphs are TensorRT's"
    if plan.preprocess.view != "resize":
        return f"it is for the view resize, and this is {plan.preprocess.view}"
    if plan.preprocess.ela:
        return "error-level analysis needs a JPEG encoder, which runs on the CPU"
    if plan.tta != "none":
        return f"it is for --tta none, and this is {plan.tta}"
    if plan.thresholds.instances == "matched":
        return "it is for --instances merged or components, and this is matched"
    if find_spec("cupy") is None:
        return "CuPy is not installed: pip install 'forgecli[gpu]' or 'forgecli[gpu-rtx]'"
    from forgecli.stream.open import device_number
    from kernels.cuda.cupy_device import CupyDevice

    try:
        CupyDevice(device_number(plan.device))
    except (ImportError, RuntimeError) as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return None
