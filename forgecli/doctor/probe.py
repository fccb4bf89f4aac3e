"""What a library says of itself: run as a process of its own, for an import may end it.

    python -m forgecli.doctor.probe NAME

The last line on stdout is a JSON object.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]

BASE = ("numpy", "scipy", "cv2", "numba", "simplejpeg", "deflate", "pydantic")
"""Modules that every install has to be able to import, beside OpenVINO."""


def base() -> Facts:
    """Import what match needs, one after the other; each that fails is named."""
    failed = {}
    for name in BASE:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a broken package may raise anything
            failed[name] = f"{type(error).__name__}: {error}"
    return {"failed": failed}


def openvino() -> Facts:
    """Devices, and the precisions that the processor has."""
    from engines.openvino import the_core

    core = the_core()
    return {
        "devices": list(core.available_devices),
        "processor": str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip(),
        "capabilities": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }


def torch() -> Facts:
    """What PyTorch was built for, and the GPUs that it finds."""
    import torch as library

    gpus = []
    if library.cuda.is_available():
        for number in range(library.cuda.device_count()):
            each = library.cuda.get_device_properties(number)
            gpus.append(
                {
                    "name": each.name,
                    "capability": each.major * 10 + each.minor,
                    "memory": each.total_memory,
                }
            )
    return {
        "cuda": library.version.cuda,
        "gpus": gpus,
        "mps": bool(library.backends.mps.is_available()),
        "mps_built": bool(library.backends.mps.is_built()),
    }


def cupy() -> Facts:
    """The CUDA that CuPy was built for, the driver's, and the GPUs that it finds."""
    import cupy as library

    runtime = library.cuda.runtime
    gpus = []
    if library.cuda.is_available():
        for number in range(runtime.getDeviceCount()):
            each = runtime.getDeviceProperties(number)
            gpus.append(
                {
                    "name": str(each["name"], "utf-8"),
                    "capability": each["major"] * 10 + each["minor"],
                    "memory": int(each["totalGlobalMem"]),
                }
            )
    return {
        "runtime": int(runtime.runtimeGetVersion()),
        "driver": _driver(runtime),
        "gpus": gpus,
    }


def _driver(runtime: Any) -> int:
    """The newest CUDA that the driver knows, times 1000; 0 without a driver."""
    try:
        return int(runtime.driverGetVersion())
    except Exception:  # noqa: BLE001 - no driver, whatever the library calls that
        return 0


def tensorrt() -> Facts:
    """Whether TensorRT can be imported."""
    return {"version": importlib.import_module("tensorrt").__version__}


def tensorrt_rtx() -> Facts:
    """Whether TensorRT for RTX can be imported."""
    return {"version": importlib.import_module("tensorrt_rtx").__version__}


PROBES: dict[str, Callable[[], Facts]] = {
    each.__name__: each for each in (base, openvino, torch, cupy, tensorrt, tensorrt_rtx)
}


def main(name: str) -> int:
    """Ask one library and print what it says; 1 if it cannot be asked."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    try:
        said: Facts = {"facts": PROBES[name]()}
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything
        first = next(iter(str(error).splitlines()), "")
        said = {"error": f"{type(error).__name__}: {first}"}
    sys.stdout.write("\n" + json.dumps(said) + "\n")
    return 0 if "facts" in said else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
