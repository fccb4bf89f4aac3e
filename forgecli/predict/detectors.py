"""The detectors by name: which one it is, with which settings."""

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
from forgecli.predict.factories import make_fused, make_segment, match_factory
from forgecli.predict.last_word import settled
from forgecli.predict.settings import DetectorName, PredictSettings

if TYPE_CHECKING:
    from forgecli.match.settings import MatchSettings
    from forgecli.segment.plan import SegmentPlan
    from forgecli.segment.settings import SegmentSettings

TABLES = ("predict", "match", "segment")
"""Tables of a configuration file: one for the job, one for every detector."""

_ON_ONE_GPU = 4
"""Workers of `fused` or `match` on a GPU: match keeps cores busy, and what each worker holds there
takes room."""

_UNMEASURED = (
    "match on a GPU has been tested on a stand-in only, and nobody has measured it: compare a few "
    "images with the CPU's results"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A detector with all that was asked of it.

    Attributes:
        name: of the detector.
        make: makes one; it can be sent to another process.
        threshold: score from which it flags an image; of those by kind of image the lowest.
        fpr: rate of false positives that the thresholds are for; None where a score was asked for,
            or a network decides alone.
        record: all that decides what it finds, as plain JSON values.
        network: of segment and fused, how their network is used.
        most_workers: as many are of use where the user does not say; None: one per core.
        make_shared: makes one that looks at so many images at the same time, for threads of one
            process; None where every process has to have its own.
        notes, warnings: what a user may want to know, and should know.
    """

    name: DetectorName
    make: Callable[[], Detector]
    threshold: float
    record: dict[str, Any]
    fpr: float | None = None
    network: SegmentPlan | None = None
    most_workers: int | None = None
    make_shared: Callable[[int], Detector] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choose(
    settings: PredictSettings,
    *,
    config: Mapping[str, Mapping[str, Any]],
    file: Path | None,
    environment: Mapping[str, str],
    network: Mapping[str, Any],
    typed: Mapping[str, object] | None = None,
    inverted: bool | None = None,
) -> Chosen:
    """The detector that was asked for, looked at as far as can be before the work starts.

    Args:
        settings: of the job; `detector`, `model`, `threshold` and `fpr` count here.
        config, file, environment: as for `forgecli.config.resolve`.
        network: flags of the table ``[segment]``. Of these match takes ``device``, where it runs
            alone; of fused, the network is there and match on the CPU.
        typed: the other flags, by field, None where an option was not given; without them, the
            threshold and the rate in `settings` count as typed.
        inverted: flag of the table ``[match]``; None where it was not given.

    Raises:
        UsageError: an unknown name, a value that cannot be, a threshold and a false-positive rate
            in one place (`forgecli.predict.last_word`), a checkpoint that is missing, a device
            that is not there.
        ForgeError: the checkpoint is not one of ours.
    """
    match = match_settings(config, file, environment, {"inverted": inverted})
    segment = segment_settings(config, file, environment, network)
    name: DetectorName = settings.detector or ("segment" if settings.model else "match")
    settings, match, said = settled(
        settings, match, typed=typed, environment=environment, config=config,
        network_alone=name == "segment",
    )  # fmt: skip
    floor = 1.0 if name == "segment" else _lowest(match, said)
    rate = match.false_positive_rate if match.threshold is None else None
    if name == "segment" and inverted:
        raise UsageError(
            "--inverted is for match; a network looks for what it was trained on.",
            mend="take --detector match or fused, or leave it out",
        )
    if name == "segment" and settings.fpr is not None:
        raise UsageError(
            "--fpr is for match, whose rates were measured; a network's were not.",
            mend="take --threshold, or forge tune on images of yours",
        )
    if name == "match":
        if settings.model is not None:
            raise UsageError(
                "--model is for networks, and match has none.",
                mend="take --detector segment or fused, or leave out --model",
            )
        given = [flag for flag, value in network.items() if value is not None and flag != "device"]
        if given:
            flag = "--" + given[0].replace("_", "-")
            raise UsageError(
                f"{flag} is for networks, and match has none.",
                mend="name a checkpoint with --model, or leave it out",
            )
        chosen = _chosen_match(match, network.get("device"), floor, rate)
        return replace(chosen, warnings=chosen.warnings + _of_more(match, rate))
    if settings.model is None:
        raise UsageError(
            f"--detector {name} needs a network.",
            mend="name one with --model: the .safetensors of forge train, or the .onnx or .engine "
            "of forge build-engine",
        )
    from forgecli.predict.tuned_beside import other_match
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
            partial(make_segment, plan),
            plan.thresholds.gate,
            plan.as_record(),
            network=plan,
            most_workers=1 if on_gpu else None,
            make_shared=_shared(plan),
            notes=notes,
            warnings=warnings,
        )
    never = "the checkpoint has no fused_gate (forge tune finds one): match alone decides"
    beside = _match_record(match)
    warnings += other_match(plan, beside)
    return Chosen(
        name,
        partial(make_fused, match, plan),
        floor,
        {"match": beside, "segment": plan.as_record()},
        rate,
        network=plan,
        most_workers=_ON_ONE_GPU if on_gpu else None,
        notes=notes,
        warnings=_of_more(match, rate)
        + ((never,) if plan.thresholds.fused_gate is None else warnings),
    )


def _shared(plan: SegmentPlan) -> Callable[[int], Detector] | None:
    """What makes a network for several threads of one process. Not where outlines are matched: that
    is work of Python's, one thread at a time, and of kernels that are parallel in themselves."""
    if plan.engine != "openvino" or plan.thresholds.instances == "matched":
        return None
    return partial(make_segment, plan)


def _of_more(match: MatchSettings, rate: float | None) -> tuple[str, ...]:
    """That a rate was not measured so, where more is looked for than by default."""
    if rate is None:
        return ()
    asked = {"--inverted": match.inverted, "[match] keypoints": match.keypoints}
    more = [name for name, wanted in asked.items() if wanted]
    if not more:
        return ()
    return (
        f"the rate of {100 * rate:.3g} % of false positives was measured without "
        f"{' and '.join(more)}: with it, more authentic images may be flagged",
    )


def _chosen_match(
    match: MatchSettings, asked: str | None, floor: float, rate: float | None
) -> Chosen:
    """Match alone, on the device that was asked for."""
    record = _match_record(match)
    if asked in (None, "auto", "cpu"):
        return Chosen("match", match_factory(match), floor, record, rate)
    from forgecli.match.gpu import resolve_device

    device = resolve_device(asked)
    return Chosen(
        "match",
        match_factory(match, device),
        floor,
        {**record, "device": device},
        rate,
        most_workers=_ON_ONE_GPU,
        notes=(f"match: on {device}",),
        warnings=(_UNMEASURED,),
    )


def _lowest(match: MatchSettings, said: str) -> float:
    """The score that match flags from, of those by kind of image the lowest.

    Match outlines only what reaches the threshold of the image's kind: with something outlined, an
    image that reaches the lowest is flagged.

    Raises:
        UsageError: the rate was not measured.
    """
    from forgecli.match.operating import thresholds_of

    try:
        return min(thresholds_of(match).values())
    except ValueError as error:
        option = "--threshold" if said.startswith("--") else "a threshold"
        said = said or "[match] false-positive-rate"
        raise UsageError(f"{said}: {error}", mend=f"or set {option}") from error


def match_settings(
    config: Mapping[str, Mapping[str, Any]],
    file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
) -> MatchSettings:
    """The match detector's settings: defaults < table ``[match]`` < ``FORGE_MATCH_*`` < flags.

    Args:
        config, file, environment, flags: as for `forgecli.config.resolve`.

    Raises:
        UsageError: an unknown name or a value that cannot be.
    """
    from forgecli.match.settings import MatchSettings

    return resolve(
        MatchSettings,
        "match",
        config=config,
        file=file,
        environment=environment,
        flags=flags or {},
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


def _match_record(settings: MatchSettings) -> dict[str, Any]:
    """The settings, the thresholds they come to, and what the judge was fitted to be. Beside a
    threshold no rate is said: it would be of no effect."""
    from forgecli.match.operating import thresholds_of

    fitted = {
        f"{name}_sha256": hashlib.sha256(
            files("forgecli.match").joinpath(f"{name}.json").read_bytes()
        ).hexdigest()
        for name in ("judge", "edge")
    }
    return {
        **dataclasses.asdict(settings),
        "false_positive_rate": settings.false_positive_rate if settings.threshold is None else None,
        "thresholds": thresholds_of(settings),
        **fitted,
    }
