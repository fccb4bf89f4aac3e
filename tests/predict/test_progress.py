"""What people are told while it runs and at its end."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from forgecli.console import clock
from forgecli.detection import Status
from forgecli.errors import ExitCode
from forgecli.predict.progress import _Lines, progress_on
from forgecli.predict.summary import Summary
from forgecli.predict.tasks import Outcome


def outcome(status: Status | None = Status.OK, **other: object) -> Outcome:
    return Outcome(0, "a", status, **other)  # type: ignore[arg-type]


def test_a_log_gets_a_line_now_and_then() -> None:
    said: list[str] = []
    time = [0.0]
    lines = _Lines(said.append, 100, now=lambda: time[0])
    summary = Summary(100, 0, 0)
    for second in range(35):
        time[0] = float(second)
        summary.add(outcome(instances=second % 2))
        summary.seconds = second
        lines.show(summary)
    assert len(said) == 3
    assert said[0] == "11 of 100 images, 1.10 a second, 1 min 21 s left, 5 flagged"


@pytest.mark.parametrize("terminal", [True, False])
def test_both_forms_show_without_error(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    summary = Summary(2, 0, 0)
    with progress_on(console, 2) as progress:
        summary.add(outcome(instances=1))
        summary.add(outcome(Status.FAILED, reason="[/bold] x"))
        summary.seconds = 1.0
        progress.show(summary)
    assert ("1 flagged" in out.getvalue() and "2/2" in out.getvalue()) == terminal


def test_summary_names_the_first_failures_and_escapes_them() -> None:
    summary = Summary(planned=14, no_image=1, ignored=2, seconds=2.0)
    for number in range(12):
        summary.add(Outcome(number, f"n\x1b[31m{number}\n", Status.UNREADABLE, reason="cut off"))
    summary.add(outcome(instances=1, warnings=("odd",)))
    summary.add(outcome(None))
    text = "\n".join(summary.as_lines())
    assert "\x1b" not in text and "n\\x1b[31m0\\n: unreadable: cut off" in text
    assert "and 2 more" in text and "13 images in 2.0 s (6.50 a second)" in text
    assert "1 flagged, 0 not flagged, 12 not judged" in text
    data = json.loads(json.dumps(summary.as_json("s.csv")))
    assert data["unreadable"] == 12 and data["flagged"] == 1 and data["images"] == 13
    assert data["images_per_second"] == 6.5 and data["output"] == "s.csv"


@pytest.mark.parametrize(
    ("statuses", "changes", "code"),
    [
        ([Status.OK], {}, ExitCode.DONE),
        ([Status.OK, Status.FAILED], {}, ExitCode.SOME_INPUTS_FAILED),
        ([Status.TOO_LARGE, Status.UNREADABLE], {}, ExitCode.FAILED),
        ([Status.OK, None], {}, ExitCode.DONE),
        ([Status.OK], {"unwritten": 1}, ExitCode.SOME_INPUTS_FAILED),
        ([Status.OK], {"cut_short": ["e"]}, ExitCode.SOME_INPUTS_FAILED),
        ([Status.FAILED], {"interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_exit_codes(
    statuses: list[Status | None], changes: dict[str, object], code: ExitCode
) -> None:
    summary = Summary(len(statuses), 0, 0)
    for status in statuses:
        summary.add(outcome(status))
    for name, value in changes.items():
        setattr(summary, name, value)
    assert summary.exit_code is code


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7322, "2 h 2 min"),
    ],
)
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


def test_one_is_not_many() -> None:
    summary = Summary(planned=1, no_image=0, ignored=0, seconds=2.0)
    summary.add(outcome(instances=1, warnings=("odd",)))
    text = "\n".join(summary.as_lines())
    assert "1 image in 2.0 s" in text and "1 image read with a warning" in text
