"""The detectors by name: their settings, and how a worker makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgecli.config import resolve
from forgecli.detection import Detector

if TYPE_CHECKING:
    from forgecli.match.settings import MatchSettings

TABLES = ("predict", "match")
"""Tables of a configuration file: one for the job, one for every detector."""


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


def match_factory(settings: MatchSettings) -> Callable[[], Detector]:
    """Makes match detectors; it can be sent to another process."""
    return partial(_make_match, settings)


def _make_match(settings: MatchSettings) -> Detector:
    from forgecli.match.detector import MatchDetector

    return MatchDetector(settings)
