"""With what a submission was made: settings and versions, the same on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import forgecli
from forgecli.atomic import atomic_writer
from forgecli.predict.settings import PredictSettings
from forgecli.predict.summary import Summary

_DISTRIBUTIONS = ("numpy", "scipy", "numba", "opencv-python-headless", "simplejpeg", "deflate")
_OF_NETWORKS = ("torch", "torchvision", "segmentation-models-pytorch", "timm")
_JUDGING = ("detector", "threshold", "min_area", "max_pixels")
"""Settings that can change an annotation; the others say where things go."""


def settings_hash(settings: PredictSettings, detector: Mapping[str, Any]) -> str:
    """sha256 over everything asked for that can change an annotation, and the version of forge.

    Args:
        settings: of the job.
        detector: all that decides what the detector finds: its settings, and a hash of what was
            fitted or trained. Plain JSON values.
    """
    asked = {name: getattr(settings, name) for name in _JUDGING}
    asked["detector_settings"] = dict(detector)
    asked["forge"] = forgecli.__version__
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def write_record(
    path: Path, settings: PredictSettings, detector: Mapping[str, Any], summary: Summary
) -> None:
    """Write settings, versions, counts and the hash as JSON. No time, no place, no machine: the
    same run gives the same bytes.

    Of a detector with thresholds by kind of image, ``threshold`` holds all of them. Where they were
    chosen by a rate of false positives, ``false_positive_rate`` says whether it was measured with
    the settings of this run; see `_rate`.

    Args:
        path: the file to make.
        settings, detector: as for `settings_hash`. Paths are written as the user gave them.
        summary: the counts.

    Raises:
        OutputError: it cannot be written.
    """
    distributions = _DISTRIBUTIONS + (() if settings.detector == "match" else _OF_NETWORKS)
    counts = summary.as_json(str(settings.output))
    for varying in ("seconds", "images_per_second"):
        del counts[varying]
    record = {
        "forge": forgecli.__version__,
        "settings_hash": settings_hash(settings, detector),
        "settings": {**_plain(settings), **_thresholds(settings, detector)},
        "false_positive_rate": _rate(settings, detector),
        "detector_settings": dict(detector),
        "counts": counts,
        "versions": {"python": platform.python_version(), **_versions(distributions)},
    }
    with atomic_writer(path, newline="\n") as file:
        json.dump(record, file, indent=2)
        file.write("\n")


def _thresholds(settings: PredictSettings, detector: Mapping[str, Any]) -> dict[str, Any]:
    if settings.detector not in ("match", "fused"):
        return {}
    by_kind = detector.get("match", detector).get("thresholds")
    if by_kind is None or len(by_kind) == 1:  # a score that was asked for is that of every kind
        return {}
    return {"threshold": dict(by_kind)}


def _rate(settings: PredictSettings, detector: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the rate of false positives is worth that the thresholds of match were chosen by.

    Returns:
        ``asked``, the rate; ``measured``, whether it was measured with these settings of match and
        nothing beside it; ``unmeasured``, what keeps it from that, in names: settings of match that
        are not the usual ones, as ``inverted``, and ``segment`` for a network that may speak as
        well. None where no rate decided.
    """
    match = detector.get("match", detector)
    if settings.detector not in ("match", "fused") or match.get("false_positive_rate") is None:
        return None
    from forgecli.match.settings import MatchSettings

    usual = dataclasses.asdict(MatchSettings())
    decided = ("threshold", "false_positive_rate")
    other = [name for name, value in usual.items()
             if name not in decided and match.get(name, value) != value]  # fmt: skip
    if settings.detector == "fused" and detector["segment"]["thresholds"]["fused_gate"] is not None:
        other.append("segment")
    return {"asked": match["false_positive_rate"], "measured": not other, "unmeasured": other}


def _plain(settings: PredictSettings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    return {
        name: value.as_posix() if isinstance(value, Path) else value
        for name, value in values.items()
    }


def _versions(distributions: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # OpenCV has several names
            continue
    return found
