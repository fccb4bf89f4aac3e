"""Who has the last word on the score from which an image is flagged.

A score (`threshold`) or a rate of false positives can be asked for in a file, by a variable and on
the command line, in the table of the job and in that of match. The nearest to the user counts, as a
whole: a rate that is typed is not undone by a threshold that lies in a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forgecli.config import PREFIX
from forgecli.errors import UsageError
from forgecli.predict.settings import PredictSettings

if TYPE_CHECKING:
    from forgecli.match.settings import MatchSettings

_FIELDS = (
    ("predict", "threshold"),
    ("predict", "fpr"),
    ("match", "threshold"),
    ("match", "false_positive_rate"),
)
"""Of one level the first that is said counts."""

_Said = dict[tuple[str, str], str]
"""What is said on one level: by table and field, the words a user would know it by."""


def settled(
    settings: PredictSettings,
    match: MatchSettings,
    *,
    typed: Mapping[str, object] | None,
    environment: Mapping[str, str],
    config: Mapping[str, Mapping[str, Any]],
    network_alone: bool,
) -> tuple[PredictSettings, MatchSettings, str]:
    """The settings with one threshold, or one rate, or neither; and what that was called.

    Args:
        settings, match: as all levels together make them.
        typed: flags of the command line, by field, None where an option was not given. None: what
            `settings` say counts as typed.
        environment, config: as for `forgecli.config.resolve`.
        network_alone: whether match does not run. Then its table does not count, and a rate only
            if it was typed.

    Returns:
        of `settings` at most one of `threshold` and `fpr` is left, and `match` says the same,
        with the default rate beside a threshold; the name of the option that decided, or "".

    Raises:
        UsageError: a threshold and a rate on one level.
    """
    for number, said in enumerate(_levels(settings, typed, environment, config)):
        if network_alone:
            said = {
                key: label
                for key, label in said.items()
                if key == ("predict", "threshold") or (number == 0 and key == ("predict", "fpr"))
            }
        scores = [key for key in said if key[1] == "threshold"]
        rates = [key for key in said if key[1] != "threshold"]
        if scores and rates:
            raise UsageError(
                f"{said[scores[0]]} and {said[rates[0]]} both say which score flags an image.",
                mend="leave one out",
            )
        if said:
            first = next(key for key in _FIELDS if key in said)
            value: float = getattr(settings if first[0] == "predict" else match, first[1])
            return *_with(settings, match, first[1], value), said[first]
    return replace(settings, threshold=None, fpr=None), match, ""


def _levels(
    settings: PredictSettings,
    typed: Mapping[str, object] | None,
    environment: Mapping[str, str],
    config: Mapping[str, Mapping[str, Any]],
) -> Iterator[_Said]:
    """The command line, the environment, the file."""
    if typed is None:
        typed = {"threshold": settings.threshold, "fpr": settings.fpr}
    yield {
        ("predict", name): f"--{name}"
        for name in ("threshold", "fpr")
        if typed.get(name) is not None
    }
    # Of a variable's name only the field's part may be in any case, as `forgecli.config.resolve`
    # has it; of two that name one field, the last in order counts there.
    variables = {
        (table, variable.removeprefix(prefix).lower()): variable
        for table in {table for table, _ in _FIELDS}
        for variable in sorted(environment)
        if variable.startswith(prefix := f"{PREFIX}{table.upper()}_")
    }
    yield {field: variables[field] for field in _FIELDS if field in variables}
    keys = {
        (table, key.replace("-", "_")): f"[{table}] {key}"
        for table, values in config.items()
        for key in values
    }
    yield {field: keys[field] for field in _FIELDS if field in keys}


def _with(
    settings: PredictSettings, match: MatchSettings, name: str, value: float
) -> tuple[PredictSettings, MatchSettings]:
    if name != "threshold":
        match = replace(match, threshold=None, false_positive_rate=value)
        return replace(settings, threshold=None, fpr=value), match
    usual = type(match)().false_positive_rate
    match = replace(match, threshold=value, false_positive_rate=usual)
    return replace(settings, threshold=value, fpr=None), match
