"""Names of engine files, and which machine an engine fits."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from engines.cache import engine_name, mismatch
from engines.tensorrt_build import BuildOptions

OPTIONS = BuildOptions((1, 8, 16), ((512, 512),) * 3, "fp16")
FACTS: dict[str, Any] = {"flavor": "tensorrt", "version": "11.0.0.3", "capabilities": [90]}
HERE: dict[str, Any] = {"flavor": "tensorrt", "version": "11.0.0.3", "capability": 90}


def name(onnx: str = "ab" * 32, facts: dict[str, Any] | None = None, **changed: Any) -> str:
    options = dataclasses.replace(OPTIONS, **changed)
    return engine_name("best.fp16", onnx, options, {**FACTS, **(facts or {})})


def test_names_are_short_and_do_not_change() -> None:
    assert re.fullmatch(r"best\.fp16\.[0-9a-f]{12}\.engine", name())
    assert name() == name() == "best.fp16.d2cfc2fd8251.engine"


def test_all_that_an_engine_depends_on_changes_its_name() -> None:
    names = [
        name(),
        name(onnx="cd" * 32),
        name(batch=(1, 8, 8)),
        name(size=((512, 512), (512, 512), (512, 1024))),
        name(precision="fp32"),
        name(optimisation=5),
        name(facts={"version": "11.0.0.4"}),
        name(facts={"flavor": "rtx"}),
        name(facts={"capabilities": [80, 90]}),
    ]
    assert len(set(names)) == len(names)


def test_what_it_does_not_depend_on_does_not() -> None:
    assert name(facts={"seconds": 3.0, "plan_bytes": 5}) == name()
    assert name(timing_cache=Path("timings")) == name()
    assert name(facts={"capabilities": [90, 80]}) == name(facts={"capabilities": (80, 90)})


@pytest.mark.parametrize(
    ("facts", "here", "words"),
    [
        ({}, {"version": "11.1.0.0"}, ("11.0.0.3", "11.1.0.0", "forge build-engine")),
        ({}, {"version": ""}, ("not installed", "TensorRT 11.0.0.3")),
        ({}, {"flavor": "rtx"}, ("not installed",)),
        ({"flavor": "rtx"}, {}, ("TensorRT for RTX", "not installed")),
        ({}, {"capability": 80}, ("9.0", "8.0", "forge build-engine")),
        ({"capabilities": [80, 86, 120]}, {}, ("8.0, 8.6, 12.0", "9.0")),
        ({}, {"capability": 0}, ("9.0", "no GPU")),
        ({"version": ""}, {}, ("forge build-engine",)),
        ({"capabilities": None}, {}, ("forge build-engine",)),
        ({"flavor": "other"}, {}, ("forge build-engine",)),
    ],
)
def test_what_does_not_fit_is_said(
    facts: dict[str, Any], here: dict[str, Any], words: tuple[str, ...]
) -> None:
    said = mismatch({**FACTS, **facts}, {**HERE, **here})
    assert said is not None
    for word in words:
        assert word in said


def test_what_fits() -> None:
    assert mismatch(FACTS, HERE) is None
    several = {**FACTS, "capabilities": [80, 90]}
    assert mismatch(several, HERE) is None
    assert mismatch({}, HERE) is not None
    for nothing in ([], ()):
        said = mismatch({**FACTS, "capabilities": nothing}, HERE)
        assert said is not None and "do not say what it was built for" in said
