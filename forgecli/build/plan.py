"""What is to be built from which checkpoint, settled before the work starts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.base import Spec
from forgecli.atomic import check_output
from forgecli.build.settings import BuildSettings, OnnxPrecision, Size
from forgecli.errors import UsageError
from forgecli.segment.checkpoint import Card, card_file, read_card, weights_file
from forgecli.segment.models.registry import not_exportable

WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """A checkpoint and where its exports go.

    Attributes:
        weights: the safetensors file.
        sha256: of that file.
        card: of the checkpoint.
        folder: where everything is written.
        settings: what the user asked.
        overwrite: whether files that are there may be replaced.
    """

    weights: Path
    sha256: str
    card: Card
    folder: Path
    settings: BuildSettings
    overwrite: bool = False

    @classmethod
    def of(
        cls,
        checkpoint: Path,
        settings: BuildSettings,
        *,
        folder: Path | None = None,
        overwrite: bool = False,
    ) -> BuildPlan:
        """Look at a checkpoint. Its weights are hashed, not loaded.

        Args:
            checkpoint: either of its two files.
            settings: what the user asked.
            folder: where the exports go; None: beside the checkpoint.
            overwrite: whether files that are there may be replaced.

        Raises:
            UsageError: it is not a checkpoint, its network cannot be exported, the settings
                contradict each other, or a quantised network is there already.
            ForgeError: its card is not one of ours.
            OutputError: nothing can be written to the folder.
        """
        if checkpoint.suffix.lower() not in (WEIGHTS, ".json"):
            raise UsageError("is not a checkpoint.", file=checkpoint,
                             mend="name the .safetensors file that forge train wrote")  # fmt: skip
        weights = weights_file(checkpoint, WEIGHTS)
        if not weights.exists() and not card_file(weights).exists():
            raise UsageError("there is no such checkpoint.", file=checkpoint, mend="check the path")
        card = read_card(weights)
        _refuse(card, weights, settings)
        plan = cls(weights, _sha256(weights), card, folder or weights.parent, settings, overwrite)
        check_output(plan.onnx(), overwrite=True)
        if settings.precision == "int8":
            check_output(plan.onnx("int8"), overwrite=overwrite)
        return plan

    def onnx(self, precision: OnnxPrecision | Literal["int8"] = "fp32") -> Path:
        """The ONNX file of a precision. That of FP32 has the name of the checkpoint."""
        suffix = ".onnx" if precision == "fp32" else f".{precision}.onnx"
        return self.folder / (self.weights.stem + suffix)

    @property
    def shares_card(self) -> bool:
        """Whether the FP32 file lies beside the checkpoint, and so uses the same JSON file."""
        return card_file(self.onnx()).resolve() == card_file(self.weights).resolve()


def sizes_of(spec: Spec, card: Card, settings: BuildSettings) -> tuple[Size, Size, Size]:
    """H and W that an engine takes: at least, for which it is made, at most.

    By default from the smallest there is, since a long and narrow picture is fitted into the view
    and padded to a multiple only, up to the view that the network was trained with.

    Raises:
        UsageError: the network does not take such a size.
    """
    asked = settings.size
    if asked is not None:
        check_multiples(asked, spec.multiple)
    if spec.size is not None:
        if asked not in (None, (spec.size,) * 3):
            height, width = spec.size
            raise UsageError(
                f"--size: {card.model} is exported for one size, and that is {height}x{width}.",
                mend="name one size, or leave out --size",
            )
        return (spec.size,) * 3
    if asked is not None:
        return asked
    side = view_side(card, spec.multiple)
    return (spec.multiple, spec.multiple), (side, side), (side, side)


def view_side(card: Card, multiple: int) -> int:
    """The side of the square view that a network was trained with, in pixels."""
    return -(-card.preprocess.size // multiple) * multiple


def check_multiples(sizes: tuple[Size, Size, Size], multiple: int) -> None:
    """Whether all sides are multiples of what the network asks for.

    Raises:
        UsageError: one is not.
    """
    for size in sizes:
        for side in size:
            if side % multiple:
                near = max(multiple, round(side / multiple) * multiple)
                raise UsageError(
                    f"--size: the network takes sides that are multiples of {multiple}. "
                    f"Got: {side}",
                    mend=f"{near} is near by",
                )


def _refuse(card: Card, weights: Path, settings: BuildSettings) -> None:
    if reason := not_exportable(card.model):
        raise UsageError(
            f"{card.model} cannot become ONNX: {reason}.",
            file=weights,
            mend="forge predict --model takes the checkpoint itself, with --device cuda:0 on a GPU",
        )
    if settings.precision == "int8":
        if not settings.onnx_only:
            raise UsageError(
                "--precision int8 is for the CPU.",
                mend="add --onnx-only; engines are built with fp16 or fp32",
            )
        if settings.check is None:
            raise UsageError(
                "--precision int8 is calibrated and judged on labelled images.",
                mend="name a data set with masks: --check DATASET",
            )


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=file) from error
