"""What a run of `forge synth` came to, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.table import Table

from forgecli.synth.dataset import Written

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(slots=True)
class Summary:
    """Counts over the cases of a data set; fed one case at a time.

    Attributes:
        instances: forged images by their number of groups.
        ways: groups by how they were forged.
        negatives: authentic cases by their kind.
        failed: ids and reasons.
        unreadable: source files that could not be read, with reasons.
    """

    forged: int = 0
    authentic: int = 0
    twins: int = 0
    instances: Counter[int] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    negatives: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    _coverage: list[float] = field(default_factory=list)
    _sides: list[int] = field(default_factory=list)

    def add(self, case: Written) -> None:
        """Count one case."""
        self.unreadable.update(case.unreadable)
        if case.problem:
            self.failed[case.case_id] = case.problem
            return
        self._sides.append(max(case.shape))
        if case.label == "forged":
            self.forged += 1
            self.twins += case.twin
            self.instances[case.instances] += 1
            self.ways.update(case.ways)
            self._coverage.append(case.coverage)
        else:
            self.authentic += 1
            self.negatives.update(case.ways)

    @property
    def images(self) -> int:
        """Pictures written: forgeries, their twins, and other authentic ones."""
        return self.forged + self.twins + self.authentic

    def coverage_quantiles(self) -> dict[float, float]:
        """Share of a forged image that is copied or copied from, in percent, by quantile."""
        return _quantiles(self._coverage)

    def side_quantiles(self) -> dict[float, float]:
        """Long side of the cases' images in pixels, by quantile."""
        return _quantiles(self._sides)


def _quantiles(values: list[float] | list[int]) -> dict[float, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {share: float(ordered[round(share * (len(ordered) - 1))]) for share in _QUANTILES}


def table(summary: Summary) -> Table:
    """The summary for a terminal."""
    shown = Table(title="synthetic data set", show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    rows = {
        "forged images": str(summary.forged),
        "their authentic twins": str(summary.twins),
        "other authentic images": str(summary.authentic),
        "groups per forged image": _shares(summary.instances),
        "ways to forge": _shares(summary.ways),
        "kinds of other images": _shares(summary.negatives),
        "covered by masks, %": _listed(summary.coverage_quantiles(), ".2f"),
        "long side, px": _listed(summary.side_quantiles(), ".0f"),
    }
    for name, value in rows.items():
        if value:
            shown.add_row(name, value)
    return shown


def _shares(counts: Counter[int] | Counter[str]) -> str:
    total = max(1, counts.total())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return "\n".join(f"{name}: {count} ({100 * count / total:.0f} %)" for name, count in ordered)


def _listed(quantiles: dict[float, float], form: str) -> str:
    return "\n".join(f"P{100 * share:.0f}: {value:{form}}" for share, value in quantiles.items())
