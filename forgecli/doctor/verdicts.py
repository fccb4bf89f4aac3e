"""Which ways of running a network, and which tools, will work here; and why the others not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forgecli.doctor.ask import Answer, Driver
from forgecli.doctor.packages import Extra

LEAST_CAPABILITY = 75
"""The oldest GPUs that the CUDA sources are compiled for (Turing)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one thing will run.

    Attributes:
        name: of it.
        runs: whether it will.
        why: what it runs on, or why it does not run.
        mend: what to do about it; empty where nothing is to be done.
        broken: whether something that is installed does not work.
    """

    name: str
    runs: bool
    why: str
    mend: str = ""
    broken: bool = False


def verdicts(
    answers: Mapping[str, Answer], driver: Driver, extras: Mapping[str, Extra]
) -> tuple[Verdict, ...]:
    """One verdict for each way of running a network and each tool.

    Args:
        answers: by name of the probe; all of `forgecli.doctor.probe.PROBES`.
        driver: what NVIDIA's program says.
        extras: by name.
    """
    torch = answers["torch"]
    return (
        _openvino(answers["openvino"]),
        _torch_cpu(torch),
        _torch_cuda(torch, driver),
        _torch_mps(torch),
        _tensorrt("tensorrt", answers["tensorrt"], answers["cupy"], driver, "gpu"),
        _tensorrt("tensorrt-rtx", answers["tensorrt_rtx"], answers["cupy"], driver, "gpu-rtx"),
        _gpu_path(answers, driver),
        _export(extras, torch),
        _int8(extras),
    )


def gpus_of(answer: Answer) -> list[dict[str, Any]]:
    """The GPUs that a library found: name, capability times ten, memory in bytes."""
    gpus = answer.facts.get("gpus", [])
    return gpus if isinstance(gpus, list) else []


def _openvino(answer: Answer) -> Verdict:
    name = "openvino on the CPU"
    if not answer.installed:
        return Verdict(name, False, "openvino is not installed", "pip install openvino", True)
    if answer.broken:
        return _broken(name, answer, "pip install --force-reinstall openvino")
    if not answer.asked:
        return Verdict(name, True, "openvino is installed")
    kinds = {"FP32": "fp32", "BF16": "bf16", "FP16": "fp16", "INT8": "int8"}
    has = [kinds[each] for each in answer.facts["capabilities"] if each in kinds]
    return Verdict(name, True, f"{', '.join(sorted(has))} on {answer.facts['processor']}")


def _torch_cpu(answer: Answer) -> Verdict:
    name = "torch on the CPU"
    if not answer.installed:
        return Verdict(name, False, "torch is not installed", _pip("train"))
    if answer.broken:
        return _broken(name, answer, "pip install --force-reinstall torch torchvision")
    built = answer.facts.get("cuda")
    return Verdict(name, True, f"built for CUDA {built}" if built else "torch is installed")


def _torch_cuda(answer: Answer, driver: Driver) -> Verdict:
    name = "torch on an NVIDIA GPU"
    if not answer.works:
        return Verdict(name, False, _not_working("torch", answer), _after_install(answer, "train"))
    gpus = gpus_of(answer)
    if gpus:
        return Verdict(name, True, ", ".join(str(gpu["name"]) for gpu in gpus))
    if not answer.facts.get("cuda"):
        mend = "install a torch that was built for CUDA" if driver.gpus else ""
        return Verdict(name, False, "this torch was built without CUDA", mend, bool(driver.gpus))
    return Verdict(name, False, _no_gpu(driver), _driver_mend(driver), bool(driver.gpus))


def _torch_mps(answer: Answer) -> Verdict:
    name = "torch on an Apple GPU"
    if not answer.works:
        return Verdict(name, False, _not_working("torch", answer))
    there = bool(answer.facts.get("mps"))
    return Verdict(name, there, "Apple GPU" if there else "torch finds no Apple GPU")


def _tensorrt(name: str, answer: Answer, cupy: Answer, driver: Driver, extra: str) -> Verdict:
    if not answer.installed:
        return Verdict(name, False, f"{name} is not installed", _pip(extra))
    if answer.broken:
        return _broken(name, answer, _pip(extra) + " --force-reinstall")
    version = answer.facts.get("version", "")
    if not cupy.works:
        return Verdict(name, False, _not_working("cupy", cupy), _after_install(cupy, extra))
    if not gpus_of(cupy):
        builds = " (engines can be built here, not run)" if name == "tensorrt-rtx" else ""
        return Verdict(
            name, False, _no_gpu(driver) + builds, _driver_mend(driver), bool(driver.gpus)
        )
    return Verdict(name, True, f"{version} on {gpus_of(cupy)[0]['name']}")


def _gpu_path(answers: Mapping[str, Answer], driver: Driver) -> Verdict:
    """Decoding, network and finishing side by side on a GPU: `forgecli.stream`."""
    name = "GPU path of predict"
    cupy = answers["cupy"]
    if not cupy.works:
        return Verdict(name, False, _not_working("cupy", cupy), _after_install(cupy, "gpu"))
    gpus = gpus_of(cupy)
    if not gpus:
        return Verdict(name, False, _no_gpu(driver), _driver_mend(driver), bool(driver.gpus))
    if gpus[0]["capability"] < LEAST_CAPABILITY:
        least = LEAST_CAPABILITY / 10
        return Verdict(name, False, f"{gpus[0]['name']} is older than capability {least}")
    engines = [
        words
        for words, there in (
            (".engine files", answers["tensorrt"].works or answers["tensorrt_rtx"].works),
            (".safetensors", bool(gpus_of(answers["torch"]))),
        )
        if there
    ]
    if not engines:
        return Verdict(name, False, "neither TensorRT nor a torch with CUDA works", _pip("gpu"))
    return Verdict(name, True, f"{' and '.join(engines)} on {gpus[0]['name']}")


def _export(extras: Mapping[str, Extra], torch: Answer) -> Verdict:
    name = "export to ONNX"
    if torch.broken:
        return Verdict(name, False, _not_working("torch", torch))
    return _needs(name, extras["train"], "forge build-engine CHECKPOINT --onnx-only")


def _int8(extras: Mapping[str, Extra]) -> Verdict:
    return _needs(
        "quantise to INT8", extras["int8"], "forge build-engine --onnx-only --precision int8"
    )


def _needs(name: str, extra: Extra, use: str) -> Verdict:
    """A tool that works where its extra is complete."""
    if extra.packages is None:
        return Verdict(name, False, f"the installed forge knows no extra {extra.name}",
                       extra.command)  # fmt: skip
    if not extra.complete:
        return Verdict(name, False, f"missing: {', '.join(extra.missing)}", extra.command)
    return Verdict(name, True, use)


def _broken(name: str, answer: Answer, mend: str) -> Verdict:
    return Verdict(name, False, f"installed, but: {answer.error}", mend, broken=True)


def _not_working(name: str, answer: Answer) -> str:
    if not answer.installed:
        return f"{name} is not installed"
    return f"{name} cannot be imported" if answer.broken else f"{name} was not asked"


def _after_install(answer: Answer, extra: str) -> str:
    return "" if answer.installed else _pip(extra)


def _no_gpu(driver: Driver) -> str:
    if driver.gpus:
        return "there is a GPU, and the library does not find it"
    if driver.there:
        return f"no GPU: {driver.error}" if driver.error else "the driver finds no GPU"
    return "no NVIDIA driver"


def _driver_mend(driver: Driver) -> str:
    if driver.gpus:
        return "update the driver: it may be too old for the CUDA that the library was built for"
    return ""


def _pip(extra: str) -> str:
    return f"pip install 'forgecli[{extra}]'"
