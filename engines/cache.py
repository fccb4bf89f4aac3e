"""Names of engine files, and whether an engine fits a machine. Nothing is read or written here.

An engine is tied to a version of TensorRT and to GPUs, so its name carries a hash of all that it
depends on: two engines of one network can lie beside each other, and a changed network never finds
the old one. What is hashed also stands in the JSON file beside it. The file itself is the plan and
nothing else, so that trtexec and Triton load it too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engines.tensorrt_build import BuildOptions

SUFFIX = ".engine"

DIGITS = 12
"""Hexadecimal digits of the hash in a name."""

_TITLES = {"tensorrt": "TensorRT", "rtx": "TensorRT for RTX"}
_REBUILD = "build it again: forge build-engine"


def engine_name(
    stem: str, onnx_sha256: str, options: BuildOptions, facts: Mapping[str, Any]
) -> str:
    """The name of an engine's file: ``<stem>.<12 hex>.engine``.

    Args:
        stem: of the ONNX file, such as ``best.fp16``.
        onnx_sha256: of the ONNX file's bytes.
        options: how it is built.
        facts: ``flavor``, ``version`` and ``capabilities``, as in `Built.facts`; those of
            `tensorrt_build.planned` are known before the engine is built.
    """
    depends = {
        "onnx": onnx_sha256,
        "batch": options.batch,
        "size": options.size,
        "precision": options.precision,
        "optimisation": options.optimisation,
        "capabilities": sorted(int(capability) for capability in facts["capabilities"]),
        "flavor": facts["flavor"],
        "version": facts["version"],
    }
    text = json.dumps(depends, sort_keys=True)
    return f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}{SUFFIX}"


def mismatch(facts: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """What of an engine does not fit a machine, in words, and what to do; None: it fits.

    Args:
        facts: of the engine, as in `Built.facts`.
        here: ``flavor`` and ``version`` of the library that would load it (``version`` is empty
            where it is not installed), and ``capability`` of the GPU, times ten (0: there is none).
    """
    flavor, version = str(facts.get("flavor", "")), str(facts.get("version", ""))
    capabilities: Any = facts.get("capabilities")
    known = isinstance(capabilities, list | tuple) and [
        isinstance(capability, int) for capability in capabilities
    ]
    if flavor not in _TITLES or not version or not known or not all(known):
        return f"its facts do not say what it was built for; {_REBUILD}"
    title = _TITLES[flavor]
    if here.get("flavor") != flavor or not here.get("version"):
        return f"it was built by {title} {version}, which is not installed here; install it, or " \
               f"{_REBUILD}"  # fmt: skip
    if here["version"] != version:
        return f"it was built by {title} {version}, and here is {here['version']}; {_REBUILD}"
    gpu = int(here.get("capability") or 0)
    built = ", ".join(_shown(capability) for capability in sorted(capabilities))
    if not gpu:
        return f"it was built for GPUs of compute capability {built}, and here is no GPU"
    if gpu not in capabilities:
        return f"it was built for GPUs of compute capability {built}, and this one has " \
               f"{_shown(gpu)}; {_REBUILD}"  # fmt: skip
    return None


def _shown(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"
