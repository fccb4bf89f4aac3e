"""A network's ONNX file opened and run once: as a process of its own, for it may end that.

    python -m forgecli.doctor.trial FILE.onnx

The last line on stdout is a JSON object; its ``facts`` hold ``fault``, a sentence on what is wrong
(empty where nothing is), and ``mend``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from engines.base import Spec
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import DIVERGED, not_finite

_SIDE = 64
"""Pixels: the picture that a network of any size sees has the least sides that are no less."""


def try_onnx(file: Path) -> None:
    """Open it as `forge predict` does, on the CPU, and let it look at a grey picture once.

    Weights are looked at by themselves too: many steps of a network hide what is no number, as
    max(0, NaN) may be 0.

    Raises:
        UsageError: a file or OpenVINO is missing.
        ForgeError: it does not load, or takes or gives something else than its card says, or holds
            or gives values that are not finite numbers.
    """
    from forgecli.segment.onnx_file import read_onnx_card, spec_of
    from forgecli.segment.opening import open_engine

    spec = spec_of(read_onnx_card(file), file)
    engine, _ = open_engine(file, precision=spec.precision)
    try:
        constants = _constants(file)
        broken = [name for name, values in constants.items() if _no_numbers(values)]
        if broken:
            raise not_finite(broken, f"its {len(constants)} constants", file)
        logits = engine.infer(_grey(spec))
    finally:
        engine.close()
    if not np.isfinite(logits).all():
        raise ForgeError("gives values that are not finite numbers.", file=file, mend=DIVERGED)


def _constants(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The constants of the network by name, floating or not."""
    from engines.openvino import the_core

    nodes = the_core().read_model(str(file)).get_ops()
    return {
        node.get_friendly_name(): node.data for node in nodes if node.get_type_name() == "Constant"
    }


def _no_numbers(values: np.ndarray[Any, Any]) -> bool:
    """Whether weights are not all finite. One infinite value by itself is what a step fills with,
    as minus infinity in an attention's mask; where it is harmful, it shows in what comes out."""
    if values.dtype.kind != "f":
        return False
    if values.size == 1:
        return bool(np.isnan(values).any())
    return not np.isfinite(values).all()


def _grey(spec: Spec) -> np.ndarray[Any, np.dtype[np.float32]]:
    side = -(-_SIDE // spec.multiple) * spec.multiple
    height, width = spec.size or (side, side)
    return np.full((1, spec.channels, height, width), 0.5, np.float32)


def main(name: str) -> int:
    """Try one file and print what there is to say of it; 0 whatever that is."""
    fault = mend = ""
    try:
        try_onnx(Path(name))
    except ForgeError as error:
        fault, mend = str(error.what), error.mend
    except Exception as error:  # noqa: BLE001 - what a stranger's file makes a library do
        first = next(iter(str(error).splitlines()), "")
        fault = f"{type(error).__name__}: {first}" if first else type(error).__name__
    sys.stdout.write("\n" + json.dumps({"facts": {"fault": fault, "mend": mend}}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
