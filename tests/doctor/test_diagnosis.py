"""What is broken, what to do next, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from forgecli.doctor.ask import Answer, Driver
from forgecli.doctor.diagnosis import Diagnosis, problems
from forgecli.doctor.machine import Folder, Memory
from forgecli.doctor.packages import Extra, Package
from forgecli.doctor.page import page
from forgecli.doctor.verdicts import Verdict, verdicts
from forgecli.errors import ExitCode
from tests.doctor.test_verdicts import COMPLETE, CPU, DRIVER, H200, MISSING, NO_DRIVER, said

BASE = (Extra("", "match", (Package("numpy", ">=1.26", "2.0"),)),)
ANSWERS = {
    "base": said(failed={}),
    "openvino": said(**CPU),
    **dict.fromkeys(("torch", "cupy", "tensorrt", "tensorrt_rtx"), MISSING),
}


def diagnosis(
    driver: Driver = NO_DRIVER, models: Any = (), shadows: Any = (), groups: Any = BASE,
    **answers: Answer,
) -> Diagnosis:  # fmt: skip
    every = {**ANSWERS, **answers}
    ways = verdicts(every, driver, COMPLETE)
    return Diagnosis(
        cores=2,
        memory=Memory(8 << 30, 4 << 30, 2 << 30),
        processor="A [bold]CPU",
        driver=driver,
        extras=groups,
        answers=every,
        folders=(Folder("kernels", Path("/nowhere"), False, 10**6),),
        ways=ways,
        models=tuple(models),
        problems=tuple(problems(groups, every, ways, shadows)),
    )


def test_a_base_install_is_well() -> None:
    found = diagnosis()
    assert found.problems == ()
    assert found.exit_code is ExitCode.DONE
    assert any("--onnx-only" in line for line in found.advice())
    assert any("/nowhere" in line for line in found.advice())


def test_a_base_package_that_cannot_be_imported() -> None:
    found = diagnosis(base=said(failed={"cv2": "ImportError: libGL.so.1"}))
    assert found.exit_code is ExitCode.FAILED
    assert "libGL.so.1" in found.advice()[0]
    assert "opencv-python-headless" in found.advice()[0]


def test_a_base_package_that_is_missing() -> None:
    groups = (Extra("", "", (Package("numpy", ">=1.26", "1.20"),)),)
    assert diagnosis(groups=groups).problems[0][0] == "the base lacks numpy"


def test_a_broken_extra_is_a_failure_and_a_missing_one_is_not() -> None:
    assert diagnosis(torch=Answer(True, True, error="boom")).exit_code is ExitCode.FAILED
    assert diagnosis(cupy=Answer(True, True, error="two of them")).exit_code is ExitCode.FAILED
    assert diagnosis(torch=MISSING).exit_code is ExitCode.DONE


def test_another_package_of_our_name() -> None:
    found = diagnosis(shadows=[("another kernels", "install apart")])
    assert found.exit_code is ExitCode.FAILED
    assert found.advice()[0] == "another kernels: install apart"


def test_a_file_that_would_not_load_is_a_failure() -> None:
    assert diagnosis(models=[Verdict("a", True, "")]).exit_code is ExitCode.DONE
    assert diagnosis(models=[Verdict("a", False, "")]).exit_code is ExitCode.FAILED


def test_a_gpu_that_is_not_used_is_said() -> None:
    assert any("the GPU is not used" in line for line in diagnosis(DRIVER).advice())


def test_a_gpu_that_is() -> None:
    found = diagnosis(DRIVER, torch=said(cuda="13", gpus=[H200], mps=False),
                      cupy=said(gpus=[H200], driver=13020, runtime=13020))  # fmt: skip
    assert any("for the GPU: forge build-engine" in line for line in found.advice())


def test_it_is_json() -> None:
    found = json.loads(json.dumps(diagnosis(models=[Verdict("a", True, "w")]).as_json()))
    assert found["cores"] == 2
    assert found["extras"]["base"]["complete"] is True
    assert found["libraries"]["openvino"]["facts"]["processor"] == "A CPU"
    assert found["models"][0]["runs"] is True
    assert found["exit_code"] == 0


def test_the_page_shows_data_as_it_is() -> None:
    console = Console(width=200, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as shown:
        for piece in page(diagnosis(models=[Verdict("[red]x\x1b.onnx", False, "why", "mend")])):
            console.print(piece)
    text = shown.get()
    assert "A [bold]CPU" in text
    assert "[red]x\\x1b.onnx" in text
    assert "limited to 2.0 GiB" in text
    assert "cannot be written" in text
