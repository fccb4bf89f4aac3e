"""What is wrong with a mask, sorted into kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from forgecli.inspect.rows import Finding, Kind, Truth

# Parts of the sentences of `cases.masks.read_mask`; a test makes it say each of them.
_KINDS = (
    ("resized to the picture", Kind.MASK_SIZE),
    ("transposed", Kind.MASK_AXES),
    ("channels last", Kind.MASK_AXES),
    ("values besides 0", Kind.MASK_VALUES),
    ("NaN", Kind.MASK_VALUES),
    ("empty channel", Kind.MASK_CHANNEL),
)


def read_truth(mask: Path, path: str, shape: tuple[int, int]) -> tuple[Truth | None, list[Finding]]:
    """Read a mask and judge it.

    Args:
        path: its name in findings.
        shape: (H, W) of the image.

    Returns:
        what it says, None if it cannot be read; and the findings. An empty mask is one.
    """
    try:
        instances, warnings = read_mask(mask, shape)
    except (Unreadable, TooLarge) as failure:
        return None, [Finding(Kind.MASK_UNREADABLE, path, failure.what)]
    except MemoryError:
        return None, [Finding(Kind.MASK_UNREADABLE, path, "there is not enough memory to read it")]
    findings = [Finding(_kind_of(text), path, text) for text in warnings]
    if not any(finding.kind is Kind.MASK_VALUES for finding in findings):
        values = _odd_values(mask)
        if values:
            findings.append(Finding(Kind.MASK_VALUES, path, values))
    if not len(instances):
        channels = [each for each in findings if each.kind is not Kind.MASK_CHANNEL]
        return Truth((), 0.0), [*channels, Finding(Kind.MASK_EMPTY, path, "no pixel is set")]
    areas = [int(np.count_nonzero(instance)) for instance in instances]
    covered = int(np.count_nonzero(instances.any(axis=0))) if len(areas) > 1 else areas[0]
    if covered < sum(areas):
        findings.append(Finding(Kind.OVERLAP, path, _overlap(instances, areas)))
    return Truth(tuple(areas), 100 * covered / (shape[0] * shape[1])), findings


def _kind_of(warning: str) -> Kind:
    return next((kind for part, kind in _KINDS if part in warning), Kind.MASK_FORM)


def _odd_values(mask: Path) -> str:
    """What an array holds other than 0 and 1. `read_mask` takes 0 and 255 for just as good, as
    they are in pictures of masks, but code that sums an array does not."""
    if mask.suffix.lower() != ".npy":
        return ""
    try:
        array = np.load(mask, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind == "b" or not array.size:
            return ""
        low, high = array.min(), array.max()
    except (OSError, ValueError, TypeError):
        return ""
    if low < 0 or high not in (0, 1):
        return f"its values are from {low} to {high}; every value that is not 0 belongs to it"
    return ""


def _overlap(instances: NDArray[np.uint8], areas: Sequence[int]) -> str:
    """The two instances that share most."""
    shared, first, second = max(
        (int(np.count_nonzero(instances[i] & instances[j])), -i, -j)
        for i in range(len(areas))
        for j in range(i + 1, len(areas))
    )
    first, second = -first, -second
    if shared == areas[first] == areas[second]:
        return f"instances {first + 1} and {second + 1} are the same"
    share = 100 * shared / min(areas[first], areas[second])
    return (
        f"instances {first + 1} and {second + 1} share {shared:,} pixels, {share:.3g} % of the "
        "smaller"
    )
