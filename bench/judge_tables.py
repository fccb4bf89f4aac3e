"""The blocks of docs/accuracy.md that come from the judge's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.markdown import rows_of


def operating_points(judge: Mapping[str, Any]) -> str:
    """Thresholds by rate and kind, from the judge's document."""
    found = judge["operating_points"]
    kinds = list(found["thresholds"])
    rows = []
    for number, rate in enumerate(found["rates"]):
        cells = []
        for kind in kinds:
            recall = found.get("recall", {}).get(kind)
            cells.append(
                f"{found['thresholds'][kind][number]:.3f}"
                + (f" ({recall[number]:.2f})" if recall and recall[number] is not None else "")
            )
        rows.append([f"{100 * rate:g} %", *cells])
    counts = found["authentic_images"]
    header = ("false-positive rate", *(f"{kind}, {counts[kind]} authentic" for kind in kinds))
    return rows_of(header, rows)


def reliability(judge: Mapping[str, Any]) -> str:
    """How often images of a score are forged, from the judge's document."""
    found = judge["reliability"]
    rows = [
        [f"{one['score']:.2f}", f"{one['forged']:.2f}", str(one["images"])] for one in found["bins"]
    ]
    said = (
        f"Expected calibration error {found['expected_calibration_error']:.3f}, at a prior of "
        f"{judge['prior']:g}. Without any candidate, and scored 0: "
        f"{found['without_candidate']['forged']} forged and "
        f"{found['without_candidate']['authentic']} authentic images."
    )
    header = ("mean score", "forged (one image in two)", "images")
    return f"{rows_of(header, rows)}\n\n{said}"
