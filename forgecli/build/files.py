"""The files of a build: which are there already, and how they are written."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forgecli
from forgecli.atomic import atomic_writer
from forgecli.build.plan import BuildPlan
from forgecli.build.settings import OnnxPrecision
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, write_card
from forgecli.segment.onnx_file import read_onnx_card


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An ONNX file of a checkpoint.

    Attributes:
        precision: of what is inside.
        file: where it is.
        data: what is in it.
        card: with the thresholds of the JSON beside it, if there is one.
        kept: whether it was there already.
    """

    precision: OnnxPrecision
    file: Path
    data: bytes
    card: Card
    kept: bool = False

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


def there_already(plan: BuildPlan, precision: OnnxPrecision) -> OnnxFile | None:
    """The ONNX file of a precision, if it was exported from these very weights by this forge.

    Thresholds that were tuned on it stay with it; others become the checkpoint's as they are now.

    Raises:
        UsageError: there is another file of its name, and it may not be replaced; or it is for
            another size, or was forced.
        OutputError: its JSON file cannot be written.
    """
    file = plan.onnx(precision)
    if plan.overwrite or not file.exists():
        return None
    try:
        card = read_onnx_card(file)
        facts = card.built["onnx"]
        known = facts["weights"], facts["forge"], facts["precision"]
        if known == (plan.sha256, forgecli.__version__, precision):
            _check_asked(plan, facts, file)
            data = file.read_bytes()
            card = _as_tuned(plan, precision, file, data, card)
            return OnnxFile(precision, file, data, card, kept=True)
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=file) from error
    except (ForgeError, KeyError, TypeError):
        pass  # whatever it is, it is not ours
    raise UsageError(
        "exists already, and is not an export of this checkpoint as it is now.",
        file=file,
        mend="pass --overwrite, or name another folder with -o",
    )


def _check_asked(plan: BuildPlan, facts: Mapping[str, Any], file: Path) -> None:
    """Whether a file that is kept is what is asked for now."""
    asked, only = plan.settings.size, facts["size"]
    if only is not None and asked is not None and any(list(size) != only for size in asked):
        raise UsageError(
            f"exists already, for images of {only[0]} x {only[1]} px.",
            file=file,
            mend="pass --overwrite, or name another folder with -o",
        )
    if facts["checks"].get("beyond") and not plan.settings.force:
        raise UsageError(
            "exists already, and was written in spite of its checks.",
            file=file,
            mend="pass --force to use it, or --overwrite to make it anew",
        )


def _as_tuned(
    plan: BuildPlan, precision: OnnxPrecision, file: Path, data: bytes, card: Card
) -> Card:
    """The card of a file that is kept: with the checkpoint's thresholds as they are now, unless
    the file was tuned by itself."""
    now = plan.card
    own = card.tuning.get("weights") == hashlib.sha256(data).hexdigest()
    if own or (card.thresholds, card.tuning) == (now.thresholds, now.tuning):
        return card
    card = dataclasses.replace(card, thresholds=now.thresholds, tuning=now.tuning)
    if precision != "fp32" or not plan.shares_card:
        write_card(file, card)
    return card


def write_onnx(plan: BuildPlan, precision: OnnxPrecision, data: bytes, card: Card) -> OnnxFile:
    """Write an ONNX file and, unless it shares the checkpoint's, its JSON file.

    Raises:
        OutputError: one of them cannot be written.
    """
    file = plan.onnx(precision)
    with atomic_writer(file, "wb") as out:
        out.write(data)
    if precision != "fp32" or not plan.shares_card:
        write_card(file, card)
    return OnnxFile(precision, file, data, card)


def write_engine(file: Path, data: bytes, card: Card) -> None:
    """Write an engine, as it is, and its JSON file.

    Raises:
        OutputError: one of them cannot be written.
    """
    with atomic_writer(file, "wb") as out:
        out.write(data)
    write_card(file, card)


def with_engine(card: Card, facts: dict[str, object]) -> Card:
    """The card of an engine: that of its ONNX file, and how the engine was built."""
    return dataclasses.replace(card, built={"onnx": card.built["onnx"], "engine": facts})
