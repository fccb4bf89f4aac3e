"""How data sets keep pictures, labels and masks in folders.

`<name>_images/forged`, `<name>_images/authentic` and `<name>_masks` side by side (the layout of the
scientific image forgery competition), or `images` and `masks`. Masks carry the id of their picture.
"""

from __future__ import annotations

import os
from pathlib import Path

from forgecli.detection import Label

MASK_SUFFIXES = (".npy", ".png", ".tif", ".tiff", ".bmp")

# Everything in the supplement of the competition is forged, and it has no folders for the labels.
_FORGED_SETS = frozenset({"supplemental_images"})


def absolute(path: Path) -> Path:
    """With all its folders named, but without following links: a link is known by its own name."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def image_folder_of(masks: Path) -> Path | None:
    """The folder of pictures that a folder of masks goes with, by name; None for other folders."""
    name = masks.name
    if name == "masks":
        return masks.with_name("images")
    if name.endswith("_masks"):
        return masks.with_name(name.removesuffix("_masks") + "_images")
    return None


def is_mask_folder(folder: Path) -> bool:
    """Whether `folder` holds the masks of the pictures in a folder beside it."""
    images = image_folder_of(folder)
    return images is not None and images.is_dir()


def _mask_folder_of(images: Path) -> Path | None:
    if images.name == "images":
        return images.with_name("masks")
    if images.name.endswith("_images"):
        return images.with_name(images.name.removesuffix("_images") + "_masks")
    return None


def truth_of(image: Path) -> tuple[Path | None, Label | None]:
    """The mask's file and the label that the folders around `image` give it, where they do.

    An authentic picture has no mask, even where its forged twin of the same id has one.
    """
    folder = absolute(image).parent
    label = Label(folder.name) if folder.name in set(Label) else None
    images = folder.parent if label else folder
    masks = _mask_folder_of(images)
    if label is None and images.name in _FORGED_SETS:
        label = Label.FORGED
    if masks is None or label is Label.AUTHENTIC:
        return None, label
    for suffix in MASK_SUFFIXES:
        mask = masks / (image.stem + suffix)
        if mask.is_file():
            return mask, label
    return None, label
