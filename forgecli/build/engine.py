"""From an ONNX file to a TensorRT engine, with its card."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.base import Spec
from forgecli.build.files import OnnxFile, with_engine, write_engine
from forgecli.build.plan import BuildPlan, sizes_of
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, card_file, read_card, write_card
from forgecli.segment.plan import describes

if TYPE_CHECKING:
    from engines.tensorrt_build import BuildOptions

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class EngineFile:
    """An engine of a checkpoint.

    Attributes:
        file: where it is.
        facts: see `engines.tensorrt_build.Built`.
        layers: one line per layer; empty for an engine that was there already.
        notes: sentences for the user.
        kept: whether it was there already.
    """

    file: Path
    facts: dict[str, Any]
    layers: str = ""
    notes: tuple[str, ...] = ()
    kept: bool = False


def options_of(plan: BuildPlan, spec: Spec) -> BuildOptions:
    """How the engine is to be built.

    Raises:
        UsageError: the network does not take the sizes.
    """
    from engines.tensorrt_build import BuildOptions

    settings = plan.settings
    assert settings.precision != "int8", "refused by the plan"
    return BuildOptions(
        batch=settings.batch,
        size=sizes_of(spec, plan.card, settings),
        precision=settings.precision,
        flavor=settings.flavor,
        capabilities=settings.capability,
        optimisation=settings.optimisation,
        timing_cache=settings.timing_cache,
    )


def target_of(options: BuildOptions) -> dict[str, Any]:
    """Which TensorRT will build for which GPUs, known before anything is exported.

    Raises:
        UsageError: TensorRT is not installed.
        ForgeError: it cannot build here, or not for these GPUs.
    """
    from engines.tensorrt_build import planned
    from engines.tensorrt_library import TensorRtError

    try:
        return planned(options)
    except ImportError as error:
        raise UsageError(
            f"engines need TensorRT: {error}",
            mend="install it, or stop at the ONNX files with --onnx-only",
        ) from error
    except TensorRtError as error:
        raise ForgeError(error.what, mend=error.mend) from error


def build(
    plan: BuildPlan,
    source: OnnxFile,
    options: BuildOptions,
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> EngineFile:
    """Build and write the engine of an ONNX file, unless it is there already.

    An engine's name tells all that it depends on: one of that name that is as its JSON file says
    is it. The thresholds in that JSON become those of the ONNX file.

    Args:
        plan: where it goes.
        source: the ONNX file.
        options: from `options_of`.
        progress: hears of the steps.
        again: build it even if it is there.

    Raises:
        ForgeError: TensorRT cannot build it.
        OutputError: it cannot be written.
    """
    from engines.cache import engine_name
    from engines.tensorrt_build import build_engine
    from engines.tensorrt_library import TensorRtError

    target = target_of(options)
    name = engine_name(source.file.stem, source.sha256, options, target)
    file = plan.folder / name
    if not (plan.overwrite or again) and _is_whole(file, source.card):
        return EngineFile(file, target, kept=True)
    if target["flavor"] == "tensorrt" and options.timing_cache is None:
        options = dataclasses.replace(options, timing_cache=_timings())
    try:
        built = build_engine(source.data, options, progress=progress)
    except TensorRtError as error:
        raise ForgeError(error.what, file=source.file, mend=error.mend) from error
    write_engine(file, built.plan, with_engine(source.card, built.facts))
    return EngineFile(file, built.facts, built.layers, built.notes)


def _is_whole(file: Path, source: Card) -> bool:
    """Whether an engine is there as it was built. Its thresholds are brought up to date."""
    if not file.exists() or not card_file(file).exists():
        return False
    try:
        card = read_card(file)
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except (ForgeError, OSError):
        return False
    if not describes(card, found):  # nor where nobody knows
        return False
    if card.tuning.get("weights") != found and (
        (card.thresholds, card.tuning) != (source.thresholds, source.tuning)
    ):
        tuned = dataclasses.replace(card, thresholds=source.thresholds, tuning=source.tuning)
        write_card(file, tuned)
    return True


def _timings() -> Path | None:
    """Where TensorRT keeps what it measured, in the user's cache folder; None: nowhere."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = home / "forge/tensorrt"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder / "timings" if os.access(folder, os.W_OK | os.X_OK) else None
