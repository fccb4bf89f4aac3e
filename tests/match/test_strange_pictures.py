from __future__ import annotations

import numpy as np
import pytest

from forgecli.detection import Picture, Status
from forgecli.match.detector import MatchDetector
from tests.match.pictures import Pixels, photograph

random = np.random.default_rng(0)


def noise(height: int, width: int) -> Pixels:
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(levels: np.ndarray) -> Pixels:
    return photograph(levels.astype(np.float32))


def one_dot() -> Pixels:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[50, 50] = 255
    return pixels


def frozen(pixels: Pixels) -> Pixels:
    pixels.flags.writeable = False
    return pixels


STRIPES = np.tile((np.arange(256) % 16 < 8) * 255, (200, 1))
BOARD = (np.indices((160, 160)) // 8).sum(0) % 2 * 255
FLAT = {f"all {level}": np.full((120, 90, 3), level, np.uint8) for level in (0, 128, 255)}
TINY = {
    f"{height} x {width}": noise(height, width)
    for height, width in [
        *[(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 7), (5, 4), (8, 8), (7, 9)],
        *[(16, 16), (17, 3), (31, 33), (64, 64), (1, 500), (500, 1), (8, 3000), (3000, 8)],
    ]
}
ODD = {
    "no pixel": np.zeros((0, 10, 3), np.uint8),
    "beyond 16 bits": noise(4, 33_000),
    "black 1 x 1": np.zeros((1, 1, 3), np.uint8),
    "two-valued noise": grey((random.random((120, 120)) < 0.5) * 255),
    "checkerboard": grey(np.indices((120, 120)).sum(0) % 2 * 255),
    "chessboard": grey(BOARD),
    "stripes": grey(STRIPES),
    "ramp": grey(np.tile(np.arange(200), (150, 1))),
    "one dot": one_dot(),
    "half noise": np.hstack([np.zeros((80, 80, 3), np.uint8), noise(80, 80)]),
    "one colour": noise(80, 80) * np.array([1, 0, 0], np.uint8),
    "tiles": np.tile(noise(24, 24), (5, 5, 1)),
    "its own mirror image": np.hstack([(one := noise(64, 64)), one[:, ::-1]]),
    "not contiguous": noise(96, 96)[::2, ::2],
    "in Fortran order": np.asfortranarray(noise(48, 48)),
    "read-only": frozen(noise(48, 48)),
}


@pytest.fixture(scope="module")
def detector() -> MatchDetector:
    detector = MatchDetector()
    detector.prepare()
    return detector


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", [*FLAT, *TINY, *ODD])
def test_no_picture_stops_the_detector(detector: MatchDetector, name: str) -> None:
    pixels = (FLAT | TINY | ODD)[name]
    before = pixels.copy()
    (detection,) = detector.detect([Picture(name, pixels)])
    np.testing.assert_array_equal(pixels, before)
    assert detection.case_id == name
    assert detection.shape == pixels.shape[:2]
    assert detection.status is Status.OK
    assert 0 <= detection.score <= 1
    for instance in detection.instances:
        assert (instance.runs[:, 0] >= 0).all()
        assert (instance.runs.sum(axis=1) <= pixels.shape[0] * pixels.shape[1]).all()
    if name in FLAT or name == "one dot" or max(pixels.shape[:2]) < 32:
        assert detection.score == 0
        assert detection.instances == ()


def test_noise_is_authentic(detector: MatchDetector) -> None:
    found = detector.detect([Picture(str(n), noise(64, 64)) for n in range(4)])
    assert all(detection.instances == () for detection in found)
