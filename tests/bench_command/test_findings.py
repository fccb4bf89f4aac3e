"""What limits, what to try, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from forgecli.bench.crews import Rate
from forgecli.bench.findings import Findings, Setup
from forgecli.bench.page import page
from forgecli.bench.whole import Whole, warm_rate

SETUP = Setup("unet", "openvino", "cpu", "fp32", workers=2, threads=1, cores=2, view="resize",
              tta="none", suffix=".onnx", own=True, pictures=10, megapixels=1.0)  # fmt: skip
STAGES = {"decode": 0.02, "prepare": 0.005, "engine": 0.4, "finish": 0.01}


def findings(
    stages: dict[str, float] | None = None, decode: float = 100.0, core: float = 5.0,
    whole: float = 4.6, start: float = 1.0, **setup: Any,
) -> Findings:  # fmt: skip
    return Findings(
        replace(SETUP, **setup),
        Rate(20, 4.6, 0.43, stages or STAGES),
        Rate(200, decode, 0.02, {"decode": 0.02}),
        Rate(20, core, 0.4, {"engine": 0.4}),
        Whole(100, 12, 30.0, start, whole),
    )


def test_the_limit_is_the_slower_one() -> None:
    found = findings()
    assert found.limit == 5.0
    assert found.fraction == pytest.approx(0.92)
    assert found.shared_limit == pytest.approx(1 / (0.01 + 0.2))
    assert findings(decode=2.0).limit == 2.0


def test_what_limits() -> None:
    assert findings().limited_by == "engine: 92% of the time of an image"
    slow = {**STAGES, "decode": 0.9}
    assert findings(slow).limited_by.endswith("more than the engine")


def advice(**options: Any) -> str:
    return "\n".join(findings(**options).advice())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"suffix": ".safetensors", "engine": "torch"}, "bench the .onnx"),
        ({"gpu": True}, "there is a GPU"),
        ({"tta": "d4"}, "8 times"),
        ({"view": "tile"}, "several pieces"),
        ({}, "INT8"),
        ({"workers": 1}, "--workers 2"),
        ({"device": "cuda:0", "decode": 3.0}, "decoding limits"),
        ({}, "a smaller --size"),
        ({"start": 15.0}, "as long as 69 images"),
        ({"whole": 2.0}, "slower than its parts"),
    ],
)
def test_what_to_try(options: dict[str, Any], said: str) -> None:
    assert said in advice(**options)


@pytest.mark.parametrize(
    ("options", "unsaid"),
    [
        ({"precision": "int8"}, "INT8"),
        ({}, "bench the .onnx"),
        ({}, "there is a GPU"),
        ({"device": "cuda:0", "gpu": True}, "there is a GPU"),
        ({}, "--workers"),
        ({}, "slower than its parts"),
        ({"engine": "", "suffix": ""}, "--size"),
    ],
)
def test_what_is_not_said(options: dict[str, Any], unsaid: str) -> None:
    assert unsaid not in advice(**options)


def test_it_is_json() -> None:
    found = json.loads(json.dumps(findings().as_json()))
    assert found["fraction_of_limit"] == pytest.approx(0.92)
    assert found["stages_ms"]["engine"] == pytest.approx(400)
    assert found["bare_engine_images_per_second"] == 5.0
    assert "bare_detector_images_per_second" in findings(engine="").as_json()


def test_it_is_shown() -> None:
    console = Console(width=120)
    with console.capture() as shown:
        for piece in page(findings(label="[red]net")):
            console.print(piece)
    text = shown.get()
    for word in ("[red]net", "2 processes", "1 thread each", "decode only", "20 x", "92%", "12 of"):
        assert word in text


def test_the_rate_without_start_and_end() -> None:
    # Two workers: 10 s to start, then an image every half second, the last alone.
    moments = [10.0 + 0.5 * number for number in range(40)] + [40.0]
    assert warm_rate(moments, 2) == pytest.approx(2.0)
    assert warm_rate([1.0, 2.0], 1) == pytest.approx(1.0)
    assert warm_rate([1.0, 1.5, 2.0], 4) > 0
