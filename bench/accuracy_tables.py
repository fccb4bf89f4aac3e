"""The blocks of docs/accuracy.md, Markdown, from the results of `bench.accuracy`, of two parts of
`bench.match`, and from the judge.

docs/make_tables.py puts them where they belong: `block` makes each by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.judge_tables import operating_points, reliability
from bench.markdown import figure, percent, rows_of, share

ROOT = Path(__file__).resolve().parents[1]
JUDGE = ROOT / "forgecli" / "match" / "judge.json"

SETS = {
    "competition": "genuine competition images, forged and twins",
    "competition_semi": "nuclei, forged and twins",
    "synthetic": "`forge synth`, default recipe, held-out sources",
}
AXES = {
    "rotation": "degrees",
    "scale": "of lengths",
    "jpeg": "quality, 100: not compressed",
    "noise": "standard deviation, grey levels",
    "size": "side of a square of its area, px",
    "mirror": "0 no, 1 yes",
}


def sets(found: Mapping[str, Any]) -> str:
    """The data sets, beside the two submissions that look at no image."""
    rows = []
    for one in found["sets"]:
        said = one["score"]
        overall, forged, level = said["overall"], said["forged"], said["image_level"]
        authentic = level["false_positives"] + level["true_negatives"]
        rows.append([
            f"`{one['name']}`: {SETS.get(one['name'], '')}",
            f"{forged['images']} + {authentic}",
            f"**{figure(overall['score'])}**",
            figure(forged["score"]),
            *(figure(level[key]) for key in ("precision", "recall", "false_positive_rate")),
            f"{one['seconds_per_image']:.2f}",
            figure(overall["all_authentic"]),
            figure(overall["whole_image"]),
        ])  # fmt: skip
    header = ("set", "images", "score", "forged only", "precision", "recall", "false positives",
              "s/image", "all authentic", "whole image")  # fmt: skip
    return rows_of(header, rows)


def authentic(found: Mapping[str, Any]) -> str:
    """Authentic images that are flagged, by kind."""
    held_out, fitted = found["held out"], found["fitted on"]
    kinds = [kind for kind in {**held_out, **fitted} if kind != "all"]
    rows = [
        [kind, *(_alarms(part.get(kind)) for part in (held_out, fitted))]
        for kind in (*sorted(kinds), "all")
    ]
    return rows_of(("kind", "held-out sources", "sources the judge was fitted on"), rows)


def curves(found: Mapping[str, Any]) -> str:
    """Recall and pixel F1 over one change at a time, and at the project's aim."""
    parts = []
    for name, points in found["curves"].items():
        header = (f"{name}: {AXES[name]}", *(f"{point['at']:g}" for point in points))
        rows = [
            ["recall", *(figure(point["recall"], 2) for point in points)],
            ["pixel F1", *(figure(point["f1"], 2) for point in points)],
        ]
        parts.append(rows_of(header, rows))
    aim = found["aim"]
    said = (
        f"Base: {found['base']}. {found['copies_per_point']} copies at every point. All together, "
        "as the aim has it (any angle, mirrored or not, scale 0.8 to 1.25, 32 to 96 px, JPEG 80): "
        "recall "
        f"{share(aim['flagged'], aim['forged'], aim['recall_interval'])}, pixel F1 "
        f"{figure(aim['f1'], 2)}, flagged without a copy "
        f"{share(aim['false_positives'], aim['authentic'], aim['false_positive_interval'])}."
    )
    return "\n\n".join((*parts, said))


def single(found: Mapping[str, Any]) -> str:
    """Single images: all, by kind of image, and by what was done to the copies."""
    rows = []
    for name, one in found["parts"].items():
        cells = _worth(one)
        if not one["authentic"]:  # changes are of forgeries: twins have none
            cells[_WORTH.index("twins") :] = ["", "", ""]
        rows.append([name, *cells])
    said = found["parts"]["all"]
    alarms = share(said["false_positives"], said["authentic"], said["false_positive_interval"])
    return (
        f"{rows_of(('single images', *_WORTH), rows)}\n\n"
        f"Flagged twins: {alarms}; {said['cpu_seconds_per_megapixel']:.2f} CPU seconds a megapixel."
    )


def recipes(found: Mapping[str, Any]) -> str:
    """The ways of `forge synth`, one at a time."""
    rows = [[name, *_worth(one)] for name, one in found["ways"].items()]
    return rows_of(("way", *_WORTH), rows)


def peers(found: Mapping[str, Any]) -> str:
    """What people run, beside forge, on the same images."""
    rows = []
    for name, one in found["methods"].items():
        plain = one["authentic"]
        rows.append([
            name,
            *_worth(one["forgeries and twins"]),
            share(plain["false_positives"], plain["authentic"]),
            figure(plain["cpu_seconds_per_image"], 2),
        ])  # fmt: skip
    return rows_of(("method", *_WORTH, "flagged authentic images", "CPU s/image there"), rows)


def ablation(found: Mapping[str, Any]) -> str:
    """The detector with one part off at a time."""
    rows = []
    for one in found["parts"]:
        whole = one["off"] == found["parts"][0]["off"]
        rows.append([
            one["off"],
            one["instead"],
            str(one["copy_among_candidates"]),
            str(one["flagged"]),
            "" if whole else f"{one['lost']} / {one['gained']}",
            figure(one["f1"]),
            figure(one["score"]),
            str(one["flagged_twins"]),
            str(one["flagged_authentic_images"]),
            figure(one["cpu_seconds_per_image"], 2),
        ])  # fmt: skip
    first = found["parts"][0]
    said = (
        f"{first['forged']} forgeries, their {first['twins']} authentic twins and "
        f"{first['authentic_images']} authentic images, of at most "
        f"{found['largest_pixels'] / 1e6:g} megapixels. Lost and gained are forgeries, against the "
        "detector as it is."
    )
    header = ("off", "in its place", "a copy among the candidates", "flagged", "lost / gained",
              "pixel F1", "metric", "flagged twins", "flagged authentic images",
              "CPU s/image")  # fmt: skip
    return f"{rows_of(header, rows)}\n\n{said}"


def panels(found: Mapping[str, Any]) -> str:
    """What comparing keypoints costs in figures of many panels (`bench.match --panels`)."""
    rows = [
        [
            str(one["panels"]),
            str(one["keypoints"]),
            f"{one['seconds']:.2f}",
            percent(one["share_comparing"]),
            percent(one["most_a_shortlist_saves"]),
            f"{one['copies_among_candidates']} of {one['figures']}",
        ]
        for one in found["figures"]
    ]
    header = ("panels", "keypoints", "s", "comparing", "a shortlist saves at most", "copy found")
    return rows_of(header, rows)


def detectors(found: Mapping[str, Any]) -> str:
    """What other keypoint detectors would add (`bench.match --detectors`)."""
    rows = [
        [
            one["detector"],
            str(one["keypoints_per_image"]),
            *(str(one[key]) for key in ("groups", "with_sift", "with_sift_and_dense")),
            f"{one['seconds_per_image']:.2f}",
            percent(one["share_of_search"]),
        ]
        for one in found["detectors"]
    ]
    said = (
        f"{found['images']} forgeries with {found['groups']} groups; the whole search takes "
        f"{found['search_seconds_per_image']:.2f} CPU seconds an image."
    )
    header = ("detector", "keypoints", "groups found", "with SIFT", "and the dense field",
              "CPU s/image", "of the search")  # fmt: skip
    return f"{rows_of(header, rows)}\n\n{said}"


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "accuracy-sets": sets,
    "accuracy-single": single,
    "accuracy-authentic": authentic,
    "accuracy-curves": curves,
    "accuracy-recipes": recipes,
    "accuracy-peers": peers,
    "accuracy-ablation": ablation,
    "match-panels": panels,
    "match-detectors": detectors,
}
"""By the name of the results' file."""

JUDGE_TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "judge-operating-points": operating_points,
    "judge-reliability": reliability,
}
"""From forgecli/match/judge.json."""


def block(name: str, results: Path = ROOT / "bench" / "results", judge: Path = JUDGE) -> str:
    """The block of a name, or a sentence where it has not been measured.

    Raises:
        KeyError: there is no block of this name.
    """
    if name in JUDGE_TABLES:
        found = json.loads(judge.read_text(encoding="utf-8"))
        key = name.removeprefix("judge-").replace("-", "_")
        return (
            JUDGE_TABLES[name](found)
            if key in found
            else "`python -m bench.judge` has not been run."
        )
    make, file = TABLES[name], results / f"{name}.json"
    if not file.exists():
        bench, _, part = name.partition("-")
        option = f"--only {part}" if bench == "accuracy" else f"--{part}"
        return f"`python -m bench.{bench} {option}` has not been run."
    return make(json.loads(file.read_text(encoding="utf-8")))


_WORTH = ("forged", "recall", "pixel F1", "metric", "twins", "flagged twins", "CPU s/image")


def _worth(one: Mapping[str, Any]) -> list[str]:
    return [
        str(one["forged"]),
        figure(one["recall"], 2),
        figure(one["f1"]),
        figure(one["score"]),
        str(one["authentic"]),
        str(one["false_positives"]),
        figure(one["cpu_seconds_per_image"], 2),
    ]


def _alarms(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    text = share(one["flagged"], one["images"], one["interval"])
    return f"**{text}**" if one["flagged"] else text
