"""What a user can ask of `forge predict`, with the default of everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

DetectorName = Literal["match", "segment", "fused"]
Streams = Annotated[int, Field(ge=1, le=64)]


def _number_or_auto(value: object) -> object:
    """None for the word ``auto``."""
    return None if value == "auto" else value


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """The options of the batch job; `forgecli.commands.predict` says the same to users.

    Attributes:
        detector: which detector looks at the images; None: segment where there is a model, else
            match.
        model: the checkpoint of segment and fused.
        output: the submission; the details and the record of the run are written beside it.
        sample_submission: gives the rows and their order.
        masks: folder for one mask per flagged image.
        mask_format: ``npy``: uint8 0/1 (N, H, W), one channel per instance, as the competition's
            masks. ``png``: one grey picture, 255 where any instance is: for looking at.
        overlays: folder for one picture per flagged image.
        evidence: JSON Lines file, one line per image.
        threshold: an image is flagged if its score reaches it; None leaves it to the detector.
        fpr: share of authentic images that match may flag; it chooses the threshold by kind of
            image. None leaves it to match.
        min_area: an instance (source and copies together) with fewer pixels is dropped.
        max_pixels: larger images are not decoded. The default is a square of 14,142.
        workers: images at work at the same time, each in a process of its own; 0 does all in the
            one process there is; None takes as many as there are cores, or what suits a GPU.
        streams: batches that a GPU works on at the same time; None (``auto``) finds out what is
            fastest.
        id_from: whether an id is the file's name or its path below the folder.
        overwrite: whether outputs may replace what is there.
    """

    detector: DetectorName | None = None
    model: Path | None = None
    output: Path = Path("submission.csv")
    sample_submission: Path | None = None
    masks: Path | None = None
    mask_format: Literal["npy", "png"] = "npy"
    overlays: Path | None = None
    evidence: Path | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    fpr: Annotated[float, Field(gt=0, lt=1)] | None = None
    min_area: Annotated[int, Field(ge=0)] = 0
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    streams: Annotated[Streams | None, BeforeValidator(_number_or_auto)] = None
    id_from: Literal["name", "path"] = "name"
    overwrite: bool = False
