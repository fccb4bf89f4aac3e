"""All that decides what a network finds, settled before the work starts."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.base import Precision
from forgecli.errors import UsageError
from forgecli.segment.checkpoint import card_file, read_card
from forgecli.segment.device import resolve_device
from forgecli.segment.maps import Tta
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A checkpoint and how it is used. It can be sent to another process.

    Attributes:
        weights: the safetensors file.
        sha256: of that file.
        model: the network's name in the registry.
        arguments: what the network was built with.
        engine: what runs it.
        device: as torch names it.
        batch: tiles and forms at once, at most.
        precision, tta, preprocess, thresholds: the checkpoint's, or the user's where given.
        untuned: what differs from how the thresholds were tuned, in words for a user.
    """

    weights: Path
    sha256: str
    model: str
    arguments: dict[str, Any]
    engine: str
    device: str
    precision: Precision
    tta: Tta
    batch: int
    preprocess: Preprocess
    thresholds: Thresholds
    untuned: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Path, settings: SegmentSettings) -> SegmentPlan:
        """Look at a checkpoint and at the machine. The weights are hashed, not loaded.

        Args:
            model: either file of the checkpoint.
            settings: what the user asked.

        Raises:
            UsageError: a file is missing, there is no such device, or torch is not installed.
            ForgeError: the checkpoint's JSON is not one of ours.
        """
        if model.suffix not in (".safetensors", ".json"):
            raise UsageError(
                "is not a checkpoint.",
                file=model,
                mend="name the .safetensors file that forge train wrote",
            )
        weights = model.with_suffix(".safetensors")
        if not card_file(weights).exists() and not weights.exists():
            raise UsageError("there is no such checkpoint.", file=model, mend="check --model")
        card = read_card(weights)
        preprocess = settings.preprocess(card.preprocess)
        used = {"tta": settings.tta, "precision": settings.precision,
                "preprocess": dataclasses.asdict(preprocess)}  # fmt: skip
        return cls(
            weights=weights,
            sha256=_sha256(weights),
            model=card.model,
            arguments=card.arguments,
            engine="torch",
            device=resolve_device(settings.device),
            precision=settings.precision,
            tta=settings.tta,
            batch=settings.batch,
            preprocess=preprocess,
            thresholds=settings.thresholds(card.thresholds),
            untuned=tuple(
                f"{name} ({card.tuning[name]} there, {value} here)"
                for name, value in used.items()
                if name in card.tuning and card.tuning[name] != value
            ),
        )

    def as_record(self) -> dict[str, Any]:
        """What decides what is found, as plain JSON values: for the record of a run. Where the file
        lies and how many tiles go at once do not."""
        values = dataclasses.asdict(self)
        del values["weights"], values["batch"], values["untuned"]
        return values


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}.",
            file=file,
            mend="a checkpoint is two files, NAME.safetensors and NAME.json; keep them together",
        ) from error
