"""The noise residual against OpenCV."""

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.segment.models.residual import NoiseResidual


def reference(image: np.ndarray) -> np.ndarray:
    """For one RGB image float32 (H, W, 3) from 0 to 1."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    residual = grey - cv2.GaussianBlur(grey, (5, 5), 0)
    return (residual - residual.min()) / (residual.max() - residual.min())


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 20), st.integers(3, 20), st.integers(0, 2**32 - 1))
def test_it_is_what_opencv_computes(height: int, width: int, seed: int) -> None:
    images = np.random.default_rng(seed).random((2, height, width, 3), np.float32)
    found = NoiseResidual()(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    assert found.shape == (2, 3, height, width)
    for image, planes in zip(images, found, strict=True):
        expected = reference(image)
        for plane in planes:
            np.testing.assert_allclose(plane, expected, atol=2e-5)


def test_a_constant_image_has_none() -> None:
    for value in (0.0, 0.3, 1.0):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            residual = NoiseResidual()(torch.full((1, 3, 9, 9), value, dtype=dtype))
            assert residual.dtype == dtype and residual.isfinite().all()
            assert (residual == 0).all()


def test_one_grey_level_is_noise_not_rounding() -> None:
    image = torch.zeros(1, 3, 9, 9)
    image[:, :, 4, 4] = 1 / 255
    residual = NoiseResidual()(image)
    assert residual.min() == 0 and residual.max() == 1
    assert residual[0, 0].argmax() == 4 * 9 + 4


def test_autocast_does_not_lower_its_precision() -> None:
    images = torch.rand(1, 3, 16, 16)
    module = NoiseResidual()
    with torch.autocast("cpu", torch.bfloat16):
        lowered = module(images)
    assert torch.equal(lowered, module(images))


def test_it_has_no_state_and_passes_gradients_on() -> None:
    module = NoiseResidual()
    assert not module.state_dict()
    images = torch.rand(1, 3, 8, 8, requires_grad=True)
    module(images)[..., 3, 3].sum().backward()
    assert images.grad is not None and images.grad.isfinite().all() and images.grad.any()
