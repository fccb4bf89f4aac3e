"""What will run, for machines of all kinds."""

from __future__ import annotations

from typing import Any

import pytest

from forgecli.doctor.ask import Answer, Driver
from forgecli.doctor.packages import Extra, Package
from forgecli.doctor.verdicts import Verdict, verdicts

H200 = {"name": "NVIDIA H200", "capability": 90, "memory": 1 << 37}
MISSING = Answer(installed=False)
NO_DRIVER = Driver(there=False)
DRIVER = Driver(there=True, version="580", gpus=(("NVIDIA H200", 1 << 37),))
CPU = {"devices": ["CPU"], "processor": "A CPU", "capabilities": ["FP32", "INT8", "BIN"]}
COMPLETE = {
    name: Extra(name, "", (Package("p", "", "1"),)) for name in ("", "train", "gpu", "int8")
}


def said(**facts: Any) -> Answer:
    return Answer(True, True, facts=facts)


def judged(driver: Driver = NO_DRIVER, extras: Any = None, **answers: Answer) -> dict[str, Verdict]:
    every = {
        "base": said(failed={}),
        "openvino": said(**CPU),
        "torch": MISSING,
        "cupy": MISSING,
        "tensorrt": MISSING,
        "tensorrt_rtx": MISSING,
        **answers,
    }
    return {way.name: way for way in verdicts(every, driver, extras or COMPLETE)}


def running(ways: dict[str, Verdict]) -> set[str]:
    return {name for name, way in ways.items() if way.runs}


TOOLS = {"export to ONNX", "quantise to INT8"}


def test_a_fresh_base_install() -> None:
    ways = judged()
    assert running(ways) == {"openvino on the CPU", *TOOLS}
    assert ways["openvino on the CPU"].why == "fp32, int8 on A CPU"
    assert ways["torch on the CPU"].mend == "pip install 'forgecli[train]'"
    assert ways["GPU path of predict"].mend == "pip install 'forgecli[gpu]'"
    assert not any(way.broken for way in ways.values())


def test_a_machine_for_training_without_a_gpu() -> None:
    ways = judged(torch=said(cuda="13.2", gpus=[], mps=False), cupy=said(gpus=[], driver=0),
                  tensorrt_rtx=said(version="1.7"))  # fmt: skip
    assert running(ways) == {"openvino on the CPU", "torch on the CPU", *TOOLS}
    assert ways["torch on an NVIDIA GPU"].why == "no NVIDIA driver"
    assert "can be built here" in ways["tensorrt-rtx"].why
    assert not any(way.broken for way in ways.values())


def test_a_machine_with_a_gpu() -> None:
    ways = judged(
        DRIVER,
        torch=said(cuda="13.2", gpus=[H200], mps=False),
        cupy=said(gpus=[H200], driver=13020),
        tensorrt=said(version="11.1"),
    )
    assert running(ways) >= {"torch on an NVIDIA GPU", "tensorrt", "GPU path of predict"}
    assert "NVIDIA H200" in ways["GPU path of predict"].why


def test_a_gpu_that_the_libraries_do_not_find_is_a_fault() -> None:
    ways = judged(DRIVER, torch=said(cuda="13.2", gpus=[], mps=False), cupy=said(gpus=[], driver=0))
    for name in ("torch on an NVIDIA GPU", "GPU path of predict"):
        assert ways[name].broken
        assert "driver" in ways[name].mend


def test_torch_without_cuda_beside_a_gpu() -> None:
    way = judged(DRIVER, torch=said(cuda=None, gpus=[], mps=False))["torch on an NVIDIA GPU"]
    assert not way.runs
    assert "without CUDA" in way.why


def test_an_old_gpu() -> None:
    old = {"name": "Tesla P100", "capability": 60, "memory": 1 << 34}
    way = judged(DRIVER, cupy=said(gpus=[old], driver=13000))["GPU path of predict"]
    assert not way.runs
    assert "7.5" in way.why


def test_a_broken_library_is_a_fault_with_a_mend() -> None:
    broken = Answer(True, True, error="its import crashes the process (SIGSEGV)")
    ways = judged(torch=broken, openvino=broken, tensorrt=broken)
    for name in ("torch on the CPU", "openvino on the CPU", "tensorrt"):
        assert ways[name].broken
        assert "SIGSEGV" in ways[name].why
        assert "pip install" in ways[name].mend
    assert not ways["export to ONNX"].runs


def test_an_apple_gpu() -> None:
    assert judged(torch=said(cuda=None, gpus=[], mps=True))["torch on an Apple GPU"].runs


@pytest.mark.parametrize("packages", [None, (Package("onnx", ">=1.17", None),)])
def test_an_incomplete_extra(packages: Any) -> None:
    extras = {**COMPLETE, "train": Extra("train", "", packages)}
    way = judged(extras=extras)["export to ONNX"]
    assert not way.runs
    assert "forgecli[train]" in way.mend


def test_nothing_is_claimed_of_what_was_not_asked() -> None:
    unasked = Answer(installed=True)
    ways = judged(torch=unasked, cupy=unasked, tensorrt=unasked)
    for name in ("torch on an NVIDIA GPU", "tensorrt", "GPU path of predict"):
        assert not ways[name].runs
        assert "was not asked" in ways[name].why
