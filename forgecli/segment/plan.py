"""All that decides what a network finds, settled before the work starts."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engines.base import Precision, Spec
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, card_file, read_card, weights_file
from forgecli.segment.device import cpu_only, gpu_only, resolve_device
from forgecli.segment.forms import Tta
from forgecli.segment.onnx_file import read_onnx_card, spec_of
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds

EngineName = Literal["torch", "openvino", "tensorrt"]

SUFFIXES: dict[EngineName, str] = {
    "torch": ".safetensors",
    "openvino": ".onnx",
    "tensorrt": ".engine",
}
"""What each engine runs."""

_TITLES: dict[EngineName, str] = {
    "torch": "PyTorch",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
}


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A network and how it is used. It can be sent to another process.

    Attributes:
        weights: the file of the network: ``.safetensors``, ``.onnx`` or ``.engine``.
        sha256: of that file.
        model: the network's name in the registry.
        arguments: what the network was built with.
        engine: what runs it.
        device: as torch names it.
        batch: tiles and forms at once, at most.
        precision, tta, preprocess, thresholds: the file's, or the user's where given.
        compile, graphs: see `SegmentSettings`.
        spec: what the network takes, of an exported one; None: the checkpoint's network knows.
        untuned: what differs from how the thresholds were tuned, in words for a user.
    """

    weights: Path
    sha256: str
    model: str
    arguments: dict[str, Any]
    engine: EngineName
    device: str
    precision: Precision
    tta: Tta
    batch: int
    preprocess: Preprocess
    thresholds: Thresholds
    compile: bool = False
    graphs: bool = False
    spec: Spec | None = None
    untuned: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Path, settings: SegmentSettings) -> SegmentPlan:
        """Look at a network's file and at the machine. The weights are hashed, not loaded.

        Args:
            model: the file; of a checkpoint either of the two.
            settings: what the user asked.

        Raises:
            UsageError: a file is missing, the engine does not run such a file, there is no such
                device, or a package is not installed.
            ForgeError: its card is not one of ours, or an engine is not the one that it describes.
        """
        engine = engine_of(model, settings.engine)
        weights = weights_file(model, SUFFIXES[engine])
        if not weights.exists() and not (engine == "torch" and card_file(weights).exists()):
            raise UsageError("there is no such checkpoint.", file=model, mend="check --model")
        card = read_onnx_card(weights) if engine == "openvino" else read_card(weights)
        spec = None if engine == "torch" else spec_of(card, weights)
        sha256 = _sha256(weights)
        if engine == "tensorrt":
            check_built(card, sha256, weights)
        precision = _precision(settings.precision, engine, card, weights)
        device = _device(settings.device, engine, weights)
        if device == "cpu" and (settings.compile or settings.graphs):
            name = "compile" if settings.compile else "graphs"
            raise UsageError(f"[segment] {name} is for a GPU, and this network runs on the CPU.",
                             mend=f"leave out {name}, or name a GPU with --device")  # fmt: skip
        if spec is not None and spec.size is not None:
            _check_size(settings.size, spec.size, weights)
        preprocess = settings.preprocess(card.preprocess)
        used = {"tta": settings.tta, "precision": precision,
                "preprocess": dataclasses.asdict(preprocess)}  # fmt: skip
        return cls(
            weights=weights,
            sha256=sha256,
            model=card.model,
            arguments=card.arguments,
            engine=engine,
            device=device,
            precision=precision,
            tta=settings.tta,
            batch=settings.batch,
            preprocess=preprocess,
            thresholds=settings.thresholds(card.thresholds),
            compile=settings.compile,
            graphs=settings.graphs,
            spec=spec,
            untuned=tuple(
                f"{name} ({card.tuning[name]} there, {value} here)"
                for name, value in used.items()
                if name in card.tuning and card.tuning[name] != value
            ),
        )

    @property
    def usual(self) -> tuple[int, int] | None:
        """H and W of most inputs of an exported network, where they are known: the only ones that
        it takes, or those of a tile."""
        if self.spec is None or self.spec.size is not None:
            return None if self.spec is None else self.spec.size
        size = self.preprocess.size
        known = self.preprocess.view == "tile" and size % self.spec.multiple == 0
        return (size, size) if known else None

    def as_record(self) -> dict[str, Any]:
        """What decides what is found, as plain JSON values: for the record of a run. Where the file
        lies and how many tiles go at once do not; what the network takes is in the file."""
        values = dataclasses.asdict(self)
        del values["weights"], values["batch"], values["untuned"], values["spec"]
        return values

    def __str__(self) -> str:
        """In words for a user: which network, where, how exactly, with what."""
        return f"{self.model} on {self.device}, {self.precision}, with {_TITLES[self.engine]}"


def engine_of(model: Path, asked: Literal["auto"] | EngineName = "auto") -> EngineName:
    """What runs a file.

    Args:
        model: the file a user named.
        asked: the engine a user named.

    Raises:
        UsageError: it is no file of a network, or that engine does not run it.
    """
    suffix = model.suffix.lower()
    if suffix == ".json":  # of whichever it lies beside; of a checkpoint before what was made of it
        beside = (ours for ours in SUFFIXES.values() if model.with_suffix(ours).exists())
        suffix = next(beside, ".safetensors")
    found = next((engine for engine, ours in SUFFIXES.items() if ours == suffix), None)
    if found is None:
        raise UsageError(
            "is not a checkpoint or an exported network.",
            file=model,
            mend="name the .safetensors file that forge train wrote, or the .onnx or .engine of "
            "forge build-engine",
        )
    if asked != "auto" and asked != found:
        raise UsageError(
            f"runs with {found}, not with {asked}.",
            file=model,
            mend=f"leave out --engine, or name a {SUFFIXES[asked]} file with --model; "
            "forge build-engine makes .onnx and .engine files from a checkpoint",
        )
    return found


def describes(card: Card, sha256: str) -> bool | None:
    """Whether a card is that of an engine file; None where it does not say of which it is.

    Args:
        card: beside an engine.
        sha256: of the file.
    """
    facts: Any = card.built.get("engine")
    known = facts.get("plan_sha256") if isinstance(facts, dict) else None
    return None if known is None else bool(known == sha256)


def check_built(card: Card, sha256: str, file: Path) -> None:
    """Whether an engine is the one that its card describes, where the card says so.

    Args:
        card: of the engine.
        sha256: of the file.
        file: for messages.

    Raises:
        ForgeError: it is another: damaged, cut off, or of another build.
    """
    if describes(card, sha256) is False:
        raise ForgeError(
            "is not the engine that its .json describes: it is damaged, cut off, or of another "
            "build.",
            file=file,
            mend="build it again with forge build-engine CHECKPOINT --overwrite",
        )


def _check_size(asked: int | None, only: tuple[int, int], file: Path) -> None:
    if asked is not None and asked != max(only):
        raise UsageError(
            f"takes images of {only[0]} x {only[1]} px only, not of {asked}.",
            file=file,
            mend="leave out --size, or export the checkpoint anew: forge build-engine --size",
        )


def _device(asked: str, engine: EngineName, file: Path) -> str:
    if engine == "torch":
        return resolve_device(asked)
    if engine == "openvino":
        return cpu_only(asked, file)
    return gpu_only(asked, file)


def _precision(
    asked: Literal["auto"] | Precision, engine: EngineName, card: Card, file: Path
) -> Precision:
    """The precision of the arithmetic.

    A checkpoint and an ONNX of float32 or float16 can be computed in whichever the machine has. A
    quantised ONNX and an engine are what they were made to be.
    """
    if engine == "torch":
        if asked == "int8":
            raise UsageError(
                "a checkpoint is not quantised.",
                file=file,
                mend="make an .onnx of it: forge build-engine --onnx-only --precision int8",
            )
        return "fp32" if asked == "auto" else asked
    made = _made(card, engine, file)
    if engine == "openvino" and made != "int8":
        if asked == "int8":
            raise UsageError(
                "is not quantised.",
                file=file,
                mend="make one that is: forge build-engine --onnx-only --precision int8",
            )
        return "fp32" if asked == "auto" else asked
    if asked not in ("auto", made):
        raise UsageError(
            f"was built for {made}, and cannot be run in {asked}.",
            file=file,
            mend=f"leave out --precision, or forge build-engine --precision {asked}",
        )
    return made


def _made(card: Card, engine: EngineName, file: Path) -> Precision:
    """What a file was made to compute in."""
    facts: Any = card.built.get("engine" if engine == "tensorrt" else "onnx")
    made: Any = facts.get("precision") if isinstance(facts, dict) else None
    if made not in get_args(Precision):
        raise ForgeError(
            f"its card says nothing of its precision that makes sense ({made!r}).",
            file=file,
            mend="build it again with forge build-engine",
        )
    precision: Precision = made
    return precision


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
