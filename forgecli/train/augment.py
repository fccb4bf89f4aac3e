"""Random changes to a crop that keep it what it is: authentic or forged, with the same outlines.

Written on OpenCV and NumPy. albumentations ends with 2.0.8 (MIT), and its successor
AlbumentationsX is under the AGPL, which forge cannot depend on. torchvision's transforms draw from
torch's global generator, so that a sample would depend on what was drawn before it, and on a
512-pixel crop they take 4 to 40 times as long for tone, blur and JPEG.
"""

from __future__ import annotations

import numpy as np

from forgecli.train.crops import Crop, Pixels
from forgecli.train.data import AugmentSettings


def augment(crop: Crop, settings: AugmentSettings, rng: np.random.Generator) -> Crop:
    """A changed copy: turned first, then tone, blur and noise, recompressed as JPEG last.

    Args:
        crop: not padded; height and width may be exchanged in what is returned.
        rng: all that is random comes from it.
    """
    if settings.flips:
        crop = turn(crop, int(rng.integers(8)))
    if rng.random() < settings.rotate:
        crop = rotate(crop, float(rng.uniform(-settings.degrees, settings.degrees)))
    pixels = crop.pixels
    if rng.random() < settings.tone:
        brightness = float(rng.uniform(-settings.brightness, settings.brightness))
        contrast = float(1 + rng.uniform(-settings.contrast, settings.contrast))
        limit = np.log1p(settings.gamma)
        pixels = tone(pixels, brightness, contrast, float(np.exp(rng.uniform(-limit, limit))))
    if rng.random() < settings.blur:
        pixels = blur(pixels, float(rng.uniform(0, settings.blur_sigma)))
    if rng.random() < settings.noise:
        pixels = noise(pixels, float(rng.uniform(0, settings.noise_sigma)), rng)
    if rng.random() < settings.jpeg:
        low, high = sorted((settings.jpeg_low, settings.jpeg_high))
        quality, fine = int(rng.integers(low, high + 1)), bool(rng.integers(2))
        pixels = recompress(pixels, quality, "444" if fine else "420")
    return Crop(pixels, crop.masks)


def turn(crop: Crop, form: int) -> Crop:
    """One of the eight forms of a square: `form % 4` quarter turns, mirrored from 4 on. Exact."""
    pixels, masks = np.rot90(crop.pixels, form % 4), np.rot90(crop.masks, form % 4, axes=(1, 2))
    if form >= 4:
        pixels, masks = pixels[:, ::-1], masks[:, :, ::-1]
    return Crop(np.ascontiguousarray(pixels), np.ascontiguousarray(masks))


def rotate(crop: Crop, degrees: float) -> Crop:
    """Turned about its centre, at the same size; corners are filled by the edge.

    Instances that leave the crop are left out.
    """
    import cv2

    height, width = crop.pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    pixels = cv2.warpAffine(
        crop.pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    turned = []
    for mask in crop.masks:
        level = cv2.warpAffine(mask * np.uint8(255), matrix, (width, height))
        if (level >= 128).any():
            turned.append(np.asarray(level >= 128, np.uint8))
    masks = np.stack(turned) if turned else np.zeros((0, height, width), np.uint8)
    return Crop(np.asarray(pixels, np.uint8), masks)


def tone(pixels: Pixels, brightness: float, contrast: float, gamma: float) -> Pixels:
    """Gamma, then contrast about the middle, then brightness as a share of the range."""
    import cv2

    level = np.linspace(0, 1, 256) ** gamma
    table = np.clip((level - 0.5) * contrast + 0.5 + brightness, 0, 1) * 255
    return np.asarray(cv2.LUT(pixels, np.rint(table).astype(np.uint8)), np.uint8)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian; less than a fifth of a pixel changes nothing that 8 bits show."""
    import cv2

    if sigma < 0.2:
        return pixels
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise, `sigma` in grey levels, the same in all channels of a grey picture."""
    import cv2

    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(
        pixels[..., 0], pixels[..., 2]
    )
    shape = (*pixels.shape[:2], 1 if grey else 3)
    field = rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma)
    wide = cv2.cvtColor(field, cv2.COLOR_GRAY2RGB) if grey else field
    return np.asarray(cv2.add(pixels, wide, dtype=cv2.CV_8U), np.uint8)  # rounds and saturates


def recompress(pixels: Pixels, quality: int, subsampling: str) -> Pixels:
    """Compressed as JPEG and read again.

    Args:
        quality: 1 to 100.
        subsampling: of the chroma: ``444`` (none) or ``420``.
    """
    import simplejpeg

    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels),
        quality=quality,
        colorspace="RGB",
        colorsubsampling=subsampling,
    )
    return np.asarray(simplejpeg.decode_jpeg(encoded, colorspace="RGB"), np.uint8)
