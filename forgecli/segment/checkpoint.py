"""A trained network on disk: weights as safetensors, everything else as JSON beside them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgecli.atomic import atomic_writer
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds

if TYPE_CHECKING:
    from torch import Tensor

    from forgecli.segment.models.network import Network

FORMAT = 1
"""The version of the JSON file; a reader refuses a later one."""

DIVERGED = "take an earlier checkpoint, or train again with a lower learning rate"
"""What to do about a network that gives, or holds, values that are not finite numbers."""


@dataclass(frozen=True, slots=True)
class Card:
    """What has to be known about weights to use them, and what should be.

    Attributes:
        model: name in the registry.
        arguments: what `registry.build` was given beside the name; never where weights came from.
        preprocess: how pictures become input.
        thresholds: how output becomes instances.
        split: hash of the split of the data: equal for runs that were trained and validated alike.
        metrics: what was measured at validation.
        training: settings of the run, for the record.
        versions: of forge, torch and other packages.
        tuning: what `forge tune` says of the thresholds.
        built: of an exported network or an engine, how `forge build-engine` made it.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    preprocess: Preprocess = field(default_factory=Preprocess)
    thresholds: Thresholds = field(default_factory=Thresholds)
    split: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)
    built: dict[str, Any] = field(default_factory=dict)


def weights_file(named: Path, suffix: str = ".safetensors") -> Path:
    """The file of weights that a user means who named it, in whatever case, or a file beside it."""
    return named if named.suffix.lower() == suffix else named.with_suffix(suffix)


def card_file(weights: Path) -> Path:
    """The JSON file of a file of weights."""
    return weights.with_suffix(".json")


def write_card(weights: Path, card: Card) -> None:
    """Write the JSON file beside `weights`.

    Raises:
        OutputError: it cannot be written.
        ValueError: a number of the card is NaN or infinite, which JSON cannot say.
    """
    text = card_text(card)
    with atomic_writer(card_file(weights)) as file:
        file.write(text + "\n")


def card_text(card: Card) -> str:
    """A card as JSON: what is in the file beside weights, and in the metadata of an ONNX file.

    Raises:
        ValueError: a number of the card is NaN or infinite, which JSON cannot say.
    """
    return json.dumps({"format": FORMAT, **dataclasses.asdict(card)}, indent=2, allow_nan=False)


def read_card(weights: Path) -> Card:
    """The card of a file of weights; either of the two files may be named.

    That of an ONNX file is `forgecli.segment.onnx_file.read_onnx_card`, since it may be inside.

    Raises:
        UsageError: a file is missing, or the JSON's name is spelled otherwise.
        ForgeError: the JSON is not one of ours, or is of a later version.
    """
    file = card_file(weights)
    try:
        text = file.read_bytes()
    except OSError as error:
        refuse_other_spelling(file)
        raise UsageError(
            f"cannot be read: {error.strerror}.",
            file=file,
            mend=f"a checkpoint is two files, {_named(weights)} and NAME.json; keep them together",
        ) from error
    return card_from(text, file)


def refuse_other_spelling(file: Path) -> None:
    """Say so where a file that is not there is there in other case, as ``X.JSON`` for ``x.json``.

    It is not taken: what is written later would lie beside it, and one of the two would count.

    A link of that very name that leads nowhere is no other spelling.

    Raises:
        UsageError: it is.
    """
    if file.exists():
        return
    try:
        names = [path.name for path in file.parent.iterdir() if path.name != file.name]
    except OSError:
        return
    other = min((name for name in names if name.lower() == file.name.lower()), default=None)
    if other is not None:
        raise UsageError(
            f"is named {other} here, and the case of letters counts.",
            file=file,
            mend=f"rename {other} to {file.name}",
        )


def _named(weights: Path) -> str:
    return f"NAME{weights.suffix}" if weights.suffix.lower() == ".engine" else "NAME.safetensors"


def card_from(text: bytes | str, file: Path) -> Card:
    """A card from its JSON.

    Args:
        text: as `card_text` made it.
        file: where it was found, for messages.

    Raises:
        ForgeError: it is not one of ours, or is of a later version.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForgeError(f"is not JSON: {error}.", file=file) from error
    version = document.pop("format", None) if isinstance(document, dict) else None
    if version != FORMAT:
        raise ForgeError(
            f"is not a checkpoint that this forge can read (format {version!r}).",
            file=file,
            mend="install the forge that wrote it",
        )
    try:
        return TypeAdapter(Card).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ForgeError(f"{where}: {first['msg']}.", file=file) from error


def save_checkpoint(weights: Path, network: Network, card: Card) -> None:
    """Write both files, each whole or not at all; the weights first.

    Raises:
        OutputError: one of them cannot be written.
    """
    from safetensors.torch import save

    with atomic_writer(weights, "wb") as file:
        file.write(save(plain_tensors(network.state_dict())))
    write_card(weights, card)


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them: on the CPU, in order, none sharing memory with another."""
    seen: set[int] = set()
    plain = {}
    for name, value in tensors.items():
        moved = value.detach().cpu().contiguous()
        place = moved.untyped_storage().data_ptr()
        if moved.numel() and place in seen:
            moved = moved.clone()
        seen.add(place)
        plain[name] = moved
    return plain


def load_checkpoint(weights: Path) -> tuple[Network, Card]:
    """The network on the CPU, ready to predict, and its card.

    Raises:
        UsageError: a file is missing, or the extra that networks need.
        ForgeError: the files are damaged, or do not belong together.
    """
    weights = weights_file(weights)
    card = read_card(weights)
    from forgecli.segment.models.registry import build

    if refused := {"name", "encoder_weights"} & card.arguments.keys():
        raise ForgeError(
            f"arguments: {min(refused)} does not belong here.", file=card_file(weights)
        )
    try:
        network = build(card.model, **card.arguments)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ForgeError(f"its network cannot be made: {error}", file=card_file(weights)) from error
    load_weights(network, weights)
    return network.eval(), card


def load_weights(network: Network, weights: Path) -> None:
    """Put the tensors of a safetensors file into a network of the same build.

    Raises:
        UsageError: the file is missing.
        ForgeError: it is damaged, or of another network, or holds NaN or infinite values.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(weights)
        network.load_state_dict(tensors)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}.", file=weights) from error
    except SafetensorError as error:
        raise ForgeError(f"is not a safetensors file: {error}.", file=weights) from error
    except RuntimeError as error:
        what = str(error).splitlines()
        raise ForgeError(
            f"does not fit the network: {what[1].strip() if len(what) > 1 else what[0]}",
            file=weights,
            mend="check that the .json beside it is its own",
        ) from error
    refuse_not_finite(tensors, weights)


def refuse_not_finite(
    tensors: Mapping[str, Tensor], file: Path, *, those: str = "its {} tensors"
) -> None:
    """Whether all weights are numbers. Those of a training that diverged are not.

    Args:
        tensors: by their names in the file.
        file: of them, for messages.
        those: which tensors they are, with a place for their number.

    Raises:
        ForgeError: one holds NaN or infinite values.
    """
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise not_finite(broken, those.format(len(tensors)), file)


def not_finite(broken: Sequence[str], those: str, file: Path) -> ForgeError:
    """The error for a file of weights that are not all numbers.

    Args:
        broken: names of the tensors that hold NaN or infinite values; not empty.
        those: of which tensors, as in ``its 60 tensors``.
        file: of them.
    """
    return ForgeError(
        f"holds values that are not finite numbers, in {len(broken)} of {those} (the first is "
        f"{broken[0]}).",
        file=file,
        mend=DIVERGED,
    )
