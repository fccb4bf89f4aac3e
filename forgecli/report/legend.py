"""The strip below an overlay: what the tags mean, in numbers. It never covers the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forgecli.detection import Affine, Detection, Pair
from forgecli.report.marks import PALETTE, Color, Image, tag, tag_size, text_size, write

_GROUND: Color = (32, 32, 32)
_INK: Color = (235, 235, 235)
_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class _Line:
    tags: tuple[str, ...]
    color: Color
    text: str


def region_tag(instance: int, region: int) -> str:
    """The name of a region in the picture: a letter for its instance, a number of its own."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    wrap, letter = divmod(instance, len(letters))
    return letters[letter] * (wrap + 1) + str(region + 1)


def color_of(instance: int) -> Color:
    """The colour of an instance."""
    return PALETTE[instance % len(PALETTE)]


def legend(detection: Detection, width: int, height: int) -> Image:
    """Draw the strip.

    Args:
        detection: of the picture above.
        width: of the strip in pixels.
        height: wanted height of a capital letter; smaller if the width asks for it.

    Returns:
        uint8 (h, `width`, 3), RGB.
    """
    rows, columns = detection.shape
    count = len(detection.instances)
    title = f"score {detection.score:.2f}   {count} group{'s' * (count != 1)} of copied regions"
    title += f"   {columns} x {rows} px"
    lines = _lines(detection)
    wanted = max([text_size(title, height)[0], *(_width(line, height) for line in lines)])
    height = max(6, min(height, math.floor(height * (width - 2 * height) / max(wanted, 1))))

    step = 3 * height
    strip = np.full((step * (len(lines) + 1) + height, width, 3), _GROUND, np.uint8)
    write(strip, title, (height, 2 * height + height // 4), _INK, height)
    for number, line in enumerate(lines, start=1):
        x, top = height, number * step + height // 4
        for name in line.tags:
            tag(strip, name, (x, top), line.color, height)
            x += tag_size(name, height)[0] + height // 2
        write(strip, line.text, (x + height // 2, top + (3 * height) // 2), _INK, height)
    return strip


def _width(line: _Line, height: int) -> int:
    tags = sum(tag_size(name, height)[0] + height // 2 for name in line.tags)
    return tags + height // 2 + text_size(line.text, height)[0]


def _lines(detection: Detection) -> list[_Line]:
    lines = [
        _Line(
            (region_tag(pair.instance, pair.first), region_tag(pair.instance, pair.second)),
            color_of(pair.instance),
            _pair_text(pair),
        )
        for pair in sorted(detection.evidence, key=lambda p: (p.instance, p.first, p.second))
    ]
    paired = {pair.instance for pair in detection.evidence}
    for index, instance in enumerate(detection.instances):
        if index not in paired:
            # All its regions together: a network says what is copied, not what from where.
            text = f"{int(instance.runs[:, 1].sum())} px"
            if (count := len(instance.regions)) > 1:
                text += f" in {count} regions"
            if detection.found_by == "segment":
                text += "   outlined by a network"
            lines.append(_Line((region_tag(index, 0),), color_of(index), text))
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES + 1
        lines[_MOST_LINES - 1 :] = [_Line((), _INK, f"and {more} more")]
    return lines


def _pair_text(pair: Pair) -> str:
    parts = [motion(pair.affine, pair.mirrored) + ", inverted" * pair.inverted]
    if math.isfinite(pair.correlation):
        parts.append(f"correlation {pair.correlation:.2f}")
    parts.append(f"{pair.inliers} matches")
    return "   ".join(parts)


def motion(affine: Affine, mirrored: bool) -> str:
    """What the map does, in words: moved, rotated, scaled, mirrored.

    Args:
        affine: (2, 3), first region to second, y downwards.
        mirrored: whether it turns the content over, top to bottom, before it rotates it.
    """
    linear = np.array(affine[:, :2], np.float64)
    if not np.isfinite(linear).all():
        return "copied"
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    flip = np.diag([1.0, -1.0]) if mirrored else np.eye(2)
    turned = linear @ flip
    angle = math.degrees(math.atan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1]))
    said = []
    if mirrored and abs(abs(angle) - 180) < 2:  # left to right is top to bottom and half a turn
        said, angle = ["mirrored"], 0.0
    elif mirrored:
        said = ["mirrored"]
    if abs(angle) >= 0.5:
        said.append(f"rotated {abs(angle):.0f} deg")
    if abs(scale - 1) >= 0.02:
        said.append(f"scaled {scale:.2f}")
    return ", ".join(said) or "moved"
