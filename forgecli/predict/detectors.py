"""The detectors by name: their settings, and how a worker makes one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgecli.config import resolve
from forgecli.detection import Detector
from forgecli.errors import UsageError
from forgecli.predict.settings import DetectorName, PredictSettings

if TYPE_CHECKING:
    from forgecli.match.settings import MatchSettings
    from forgecli.segment.plan import SegmentPlan
    from forgecli.segment.settings import SegmentSettings

TABLES = ("predict", "match", "segment")
"""Tables of a configuration file: one for the job, one for every detector."""

_ON_ONE_GPU = 4
"""Workers of `fused` on a GPU: match keeps cores busy, and each worker holds a network there."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A detector with all that was asked of it.

    Attributes:
        name: of the detector.
        make: makes one; it can be sent to another process.
        threshold: score from which it flags an image.
        record: all that decides what it finds, as plain JSON values.
        network: of segment and fused, how their network is used.
        most_workers: as many are of use where the user does not say; None: one per core.
        notes, warnings: what a user may want to know, and should know.
    """

    name: DetectorName
    make: Callable[[], Detector]
    threshold: float
    record: dict[str, Any]
    network: SegmentPlan | None = None
    most_workers: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choose(
    settings: PredictSettings,
    *,
    config: Mapping[str, Mapping[str, Any]],
    file: Path | None,
    environment: Mapping[str, str],
    network: Mapping[str, Any],
) -> Chosen:
    """The detector that was asked for, looked at as far as can be before the work starts.

    Args:
        settings: of the job; `detector`, `model`, `threshold` and `fpr` count here.
        config, file, environment: as for `forgecli.config.resolve`.
        network: flags of the table ``[segment]``.

    Raises:
        UsageError: an unknown name, a value that cannot be, a threshold and a false-positive rate,
            a checkpoint that is missing, a device that is not there.
        ForgeError: the checkpoint is not one of ours.
    """
    match = match_settings(config, file, environment)
    segment = segment_settings(config, file, environment, network)
    name: DetectorName = settings.detector or ("segment" if settings.model else "match")
    match, floor = _operating(match, settings, name)
    if name == "match":
        if settings.model is not None:
            raise UsageError(
                "--model is for networks, and match has none.",
                mend="take --detector segment or fused, or leave out --model",
            )
        given = [flag for flag, value in network.items() if value is not None]
        if given:
            flag = "--" + given[0].replace("_", "-")
            raise UsageError(
                f"{flag} is for networks, and match has none.",
                mend="name a checkpoint with --model, or leave it out",
            )
        return Chosen("match", match_factory(match), floor, _match_record(match))
    if settings.model is None:
        raise UsageError(
            f"--detector {name} needs a network.",
            mend="name one with --model: the .safetensors of forge train, or the .onnx or .engine "
            "of forge build-engine",
        )
    from forgecli.segment.plan import SegmentPlan

    if name == "segment" and settings.threshold is not None:
        segment = replace(segment, gate=settings.threshold)
    plan = SegmentPlan.of(settings.model, segment)
    notes = (f"network: {plan}",)
    on_gpu = plan.device != "cpu"
    warnings = tuple(
        f"the thresholds were tuned with another {text}; forge tune finds those for this"
        for text in plan.untuned
    )
    if name == "segment":
        if plan.thresholds.gate >= 1:
            warnings += (
                "the network flags nothing: where it was tuned, it was no better than calling "
                "every image authentic, and its gate is 1. forge tune or --threshold sets another",
            )
        return Chosen(
            name,
            partial(_make_segment, plan),
            plan.thresholds.gate,
            plan.as_record(),
            network=plan,
            most_workers=1 if on_gpu else None,
            notes=notes,
            warnings=warnings,
        )
    never = "the checkpoint has no fused_gate (forge tune finds one): match alone decides"
    return Chosen(
        name,
        partial(_make_fused, match, plan),
        floor,
        {"match": _match_record(match), "segment": plan.as_record()},
        network=plan,
        most_workers=_ON_ONE_GPU if on_gpu else None,
        notes=notes,
        warnings=(never,) if plan.thresholds.fused_gate is None else warnings,
    )


def _operating(
    match: MatchSettings, settings: PredictSettings, name: DetectorName
) -> tuple[MatchSettings, float]:
    """Match with the threshold or the rate that the job asks for, and the score it flags from.

    Match outlines only what reaches the threshold of the image's kind. The score is the lowest of
    these thresholds: with something outlined, an image that reaches it is flagged.
    """
    from forgecli.match.operating import thresholds_of

    if settings.fpr is not None:
        if settings.threshold is not None:
            raise UsageError(
                "--threshold and --fpr both say which score flags an image.",
                mend="leave one out; FORGE_PREDICT_* and [predict] in a file count too",
            )
        if name == "segment":
            raise UsageError(
                "--fpr is for match, whose rates were measured; a network's were not.",
                mend="take --threshold, or forge tune on images of yours",
            )
        match = replace(match, threshold=None, false_positive_rate=settings.fpr)
    if name == "segment":
        return match, 1.0
    if settings.threshold is not None:
        match = replace(match, threshold=settings.threshold)
    try:
        return match, min(thresholds_of(match).values())
    except ValueError as error:
        flag = "--fpr" if settings.fpr is not None else "[match] false-positive-rate"
        raise UsageError(f"{flag}: {error}", mend="or set --threshold") from error


def match_settings(
    config: Mapping[str, Mapping[str, Any]], file: Path | None, environment: Mapping[str, str]
) -> MatchSettings:
    """The match detector's settings: defaults < table ``[match]`` < ``FORGE_MATCH_*``.

    Args:
        config, file, environment: as for `forgecli.config.resolve`.

    Raises:
        UsageError: an unknown name or a value that cannot be.
    """
    from forgecli.match.settings import MatchSettings

    return resolve(
        MatchSettings, "match", config=config, file=file, environment=environment, flags={}
    )


def segment_settings(
    config: Mapping[str, Mapping[str, Any]],
    file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> SegmentSettings:
    """The network's settings: table ``[segment]`` < ``FORGE_SEGMENT_*`` < flags.

    Args:
        config, file, environment, flags: as for `forgecli.config.resolve`.

    Raises:
        UsageError: an unknown name or a value that cannot be.
    """
    from forgecli.segment.settings import SegmentSettings

    return resolve(
        SegmentSettings, "segment", config=config, file=file, environment=environment, flags=flags
    )


def match_factory(settings: MatchSettings) -> Callable[[], Detector]:
    """Makes match detectors; it can be sent to another process."""
    return partial(_make_match, settings)


def _match_record(settings: MatchSettings) -> dict[str, Any]:
    """The settings, the thresholds they come to, and what the judge was fitted to be."""
    from forgecli.match.operating import thresholds_of

    judge = files("forgecli.match").joinpath("judge.json").read_bytes()
    return {
        **dataclasses.asdict(settings),
        "thresholds": thresholds_of(settings),
        "judge_sha256": hashlib.sha256(judge).hexdigest(),
    }


def _make_match(settings: MatchSettings) -> Detector:
    from forgecli.match.detector import MatchDetector

    return MatchDetector(settings)


def _make_segment(plan: SegmentPlan) -> Detector:
    from forgecli.segment.detector import SegmentDetector

    return SegmentDetector(plan)


def _make_fused(match: MatchSettings, plan: SegmentPlan) -> Detector:
    from forgecli.fused import FusedDetector
    from forgecli.match.operating import thresholds_of

    gate = plan.thresholds.fused_gate
    if gate is not None:  # it outlines from its gate on, and here that is this one
        plan = replace(plan, thresholds=replace(plan.thresholds, gate=gate))
    threshold = min(thresholds_of(match).values())
    return FusedDetector(_make_match(match), _make_segment(plan), threshold, gate)
