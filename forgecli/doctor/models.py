"""Files of networks: whether this machine would load them, and why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.doctor.ask import Answer, ask_of
from forgecli.doctor.verdicts import Verdict, gpus_of
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import not_finite, read_card
from forgecli.segment.onnx_file import read_onnx_card, spec_of
from forgecli.segment.plan import check_built

_LONGEST_HEADER = 100 << 20
"""Bytes; what the safetensors library accepts."""

_EXPONENTS = {
    "F64": np.array(0x7FF0_0000_0000_0000, "<u8"),
    "F32": np.array(0x7F80_0000, "<u4"),
    "F16": np.array(0x7C00, "<u2"),
    "BF16": np.array(0x7F80, "<u2"),
}
"""Kinds of tensors in the header of a safetensors file, and the bits of a value's exponent: of what
is infinite or no number, and of nothing else, all are set (IEEE 754; BF16 is the upper half of an
F32). NumPy has no BF16, so bits are what is looked at."""

_AT_ONCE = 1 << 20
"""Values that are looked at together, so that memory does not grow with the file."""

Mismatch = Callable[[Mapping[str, Any]], str | None]
"""In words what of an engine's facts does not fit this machine; None: all fits."""


def judge_model(file: Path, ways: Mapping[str, Verdict], mismatch: Mismatch) -> Verdict:
    """Whether a file of a network would load. An .onnx is loaded, and run once.

    Args:
        file: ``.safetensors``, ``.onnx`` or ``.engine``.
        ways: the verdicts on this machine, by name.
        mismatch: compares an engine's facts with this machine.
    """
    name = str(file)
    judges = {".safetensors": _checkpoint, ".onnx": _onnx, ".engine": _engine}
    judge = judges.get(file.suffix.lower())
    if judge is None:
        known = ", ".join(judges)
        return Verdict(name, False, f"not a network's file (known: {known})", broken=True)
    try:
        if not file.is_file() or not file.stat().st_size:
            return Verdict(name, False, "there is no such file, or it is empty", broken=True)
        return judge(file, ways, mismatch)
    except ForgeError as error:
        other = "" if error.file is None or Path(error.file) == file else f"{error.file} "
        return Verdict(name, False, f"{other}{error.what}".rstrip("."), error.mend, broken=True)
    except OSError as error:
        return Verdict(name, False, f"cannot be read: {error.strerror}", broken=True)


def engine_files(folder: Path) -> list[Path]:
    """The engines of a folder, by name.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError("is not a folder.", file=folder, mend="check --engines")
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".engine" and path.is_file()
    )


def _checkpoint(file: Path, ways: Mapping[str, Verdict], _: Mismatch) -> Verdict:
    card = read_card(file)
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            return Verdict(str(file), False, "is not a safetensors file", broken=True)
        header = stream.read(length)
    if _end_of_tensors(header) != size - 8 - length:
        return Verdict(str(file), False, "is damaged, or cut off", broken=True)
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        broken = _not_finite(file, tensors, 8 + length)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return Verdict(str(file), False, "is damaged: its header makes no sense", broken=True)
    if broken:
        raise not_finite(broken, f"its {len(tensors)} tensors", file)
    able = [way for way in ways.values() if way.name.startswith("torch ") and way.runs]
    if not able:
        way = ways["torch on the CPU"]
        return Verdict(str(file), False, f"{card.model}: {way.why}", way.mend, broken=True)
    return Verdict(str(file), True, f"{card.model}: {', '.join(way.name for way in able)}")


def _end_of_tensors(header: bytes) -> int:
    """Where the last tensor ends, in bytes after the header; -1 if the header is not one."""
    try:
        tensors = json.loads(header)
        return max((int(tensors[name]["data_offsets"][1]) for name in tensors
                    if name != "__metadata__"), default=0)  # fmt: skip
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError):
        return -1


def _not_finite(file: Path, tensors: Mapping[str, Any], start: int) -> list[str]:
    """Names of the tensors that hold NaN or infinite values.

    Args:
        file: of the tensors.
        tensors: its header, without the metadata. Kinds that are not in `_EXPONENTS`, integers and
            eight bits, are passed over.
        start: where the values begin, in bytes.
    """
    values: NDArray[np.uint8] = np.memmap(file, np.uint8, "r") if tensors else np.empty(0, np.uint8)
    broken = []
    for name, tensor in tensors.items():
        exponent = _EXPONENTS.get(tensor["dtype"])
        if exponent is not None:
            first, end = (start + int(place) for place in tensor["data_offsets"])
            if not _finite(values[first:end].view(exponent.dtype), exponent):
                broken.append(name)
    return broken


def _finite(bits: NDArray[Any], exponent: NDArray[Any]) -> bool:
    """Whether no value has all bits of its exponent set."""
    parts = (bits[place : place + _AT_ONCE] for place in range(0, len(bits), _AT_ONCE))
    return not any(bool(((part & exponent) == exponent).any()) for part in parts)


def _onnx(file: Path, ways: Mapping[str, Verdict], _: Mismatch) -> Verdict:
    card = read_onnx_card(file)
    label = f"{card.model}, {spec_of(card, file).precision}"
    way = ways["openvino on the CPU"]
    if way.runs:
        tried = ask_of(file)
        fault = tried.error or str(tried.facts["fault"])
        if fault:
            mend = "" if tried.error else str(tried.facts["mend"])
            mend = mend or "export the checkpoint again with forge build-engine --onnx-only"
            return Verdict(str(file), False, f"{label}: {fault}".rstrip("."), mend, broken=True)
    return _as(way, file, label)


def _engine(file: Path, ways: Mapping[str, Verdict], mismatch: Mismatch) -> Verdict:
    card = read_card(file)
    facts = card.built.get("engine")
    if not isinstance(facts, dict):
        return Verdict(
            str(file), False, "its .json does not say how it was built",
            "build it again with forge build-engine", broken=True,
        )  # fmt: skip
    with file.open("rb") as stream:
        check_built(card, hashlib.file_digest(stream, "sha256").hexdigest(), file)
    way = ways["tensorrt-rtx" if facts.get("flavor") == "rtx" else "tensorrt"]
    label = f"{card.model}, {facts.get('precision', '?')}"
    if not way.runs:
        return _as(way, file, label)
    wrong = mismatch(facts)
    if wrong:  # it says what to do as well
        return Verdict(str(file), False, f"{label}: {wrong}", broken=True)
    return Verdict(str(file), True, f"{label}: {way.name}")


def _as(way: Verdict, file: Path, label: str) -> Verdict:
    """What holds of a way holds of a file that it would run."""
    if way.runs:
        return Verdict(str(file), True, f"{label}: {way.name}")
    return Verdict(str(file), False, f"{label}: {way.why}", way.mend, broken=True)


def mismatch_here(answers: Mapping[str, Answer]) -> Mismatch:
    """Compares an engine's facts with the libraries and the GPU of this machine."""
    from engines.cache import mismatch

    gpus = gpus_of(answers["cupy"])
    capabilities: Sequence[int] = [int(gpu["capability"]) for gpu in gpus]

    def compare(facts: Mapping[str, Any]) -> str | None:
        rtx = facts.get("flavor") == "rtx"
        library = answers["tensorrt_rtx" if rtx else "tensorrt"]
        here = {
            "flavor": "rtx" if rtx else "tensorrt",
            "version": library.facts.get("version", ""),
            "capability": capabilities[0] if capabilities else 0,
        }
        return mismatch(facts, here)

    return compare
