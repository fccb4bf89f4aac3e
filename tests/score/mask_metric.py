"""The metric as notebooks compute it: every instance a mask, every pair compared by pixels."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def decode(text: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W) of one list of 1-based column-major runs."""
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    numbers = json.loads(text)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = 1
    return flat.reshape(shape, order="F")


def pixel_f1(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """F1 of two masks, 0 where it is undefined."""
    predicted, true = predicted.ravel(), true.ravel()
    hits = np.sum((predicted == 1) & (true == 1))
    extra = np.sum((predicted == 1) & (true == 0))
    missed = np.sum((predicted == 0) & (true == 1))
    precision = hits / (hits + extra) if hits + extra else 0.0
    recall = hits / (hits + missed) if hits + missed else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def score(true: str, predicted: str, shape: tuple[int, int]) -> float:
    """The score of one image from its two annotations."""
    if "authentic" in (true, predicted):
        return float(true == predicted)
    true_masks = [decode(text, shape) for text in true.split(";")]
    predicted_masks = [decode(text, shape) for text in predicted.split(";")]
    f1 = np.array([[pixel_f1(p, t) for t in true_masks] for p in predicted_masks])
    if len(predicted_masks) < len(true_masks):
        missing = len(true_masks) - len(predicted_masks)
        f1 = np.vstack([f1, np.zeros((missing, len(true_masks)))])
    chosen = linear_sum_assignment(-f1)
    penalty = len(true_masks) / max(len(predicted_masks), len(true_masks))
    return float(np.mean(f1[chosen]) * penalty)
