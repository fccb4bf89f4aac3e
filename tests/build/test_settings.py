"""What a build can be told, from flags, files and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forgecli.build.settings import BuildSettings
from forgecli.config import resolve
from forgecli.errors import UsageError


def settled(
    flags: dict[str, Any] | None = None,
    table: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> BuildSettings:
    return resolve(
        BuildSettings,
        "build",
        config={"build": table or {}},
        file=None,
        environment=environment or {},
        flags=flags or {},
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,8,16", (1, 8, 16)), ("4", (4, 4, 4)), (" 1, 2 ,2", (1, 2, 2))],
)
def test_batches(text: str, expected: tuple[int, ...]) -> None:
    assert settled({"batch": text}).batch == expected
    assert settled(environment={"FORGE_BUILD_BATCH": text}).batch == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("256,512,768", ((256, 256), (512, 512), (768, 768))),
        ("384x512", ((384, 512),) * 3),
        ("32,384x512,512x512", ((32, 32), (384, 512), (512, 512))),
        ([32, "64x96", [96, 128]], ((32, 32), (64, 96), (96, 128))),
        (512, ((512, 512),) * 3),
    ],
)
def test_sizes(value: object, expected: object) -> None:
    assert settled(table={"size": value}).size == expected


def test_capabilities() -> None:
    assert settled({"capability": "8.6, 12.0"}).capability == (86, 120)
    assert settled(table={"capability": [90]}).capability == (90,)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"batch": "8,4,16"}, "--batch: .*MIN is to be at most OPT"),
        ({"batch": "1,2"}, "--batch"),
        ({"batch": "0,1,1"}, "--batch"),
        ({"batch": "one"}, "--batch"),
        ({"size": "512,256,512"}, "--size: .*MIN is to be at most OPT"),
        ({"size": "64x512,128x256,128x512"}, "--size: .*MIN is to be at most OPT"),
        ({"size": "512*512"}, "--size: .*384x512"),
        ({"size": "99999"}, "--size"),
        ({"size": "1,2,3,4"}, "--size"),
        ({"capability": "89"}, "--capability: .*8.9"),
        ({"optimisation": 9}, "--optimisation"),
        ({"precision": "fp8"}, "--precision"),
        ({"flavor": "cuda"}, "--flavor"),
        ({"check_images": 0}, "--check-images"),
    ],
)
def test_what_cannot_be_is_refused(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settled(flags)


def test_fp32_takes_one_file_and_fp16_two() -> None:
    assert BuildSettings(precision="fp32").precisions == ("fp32",)
    assert BuildSettings(precision="fp16").precisions == ("fp32", "fp16")


@pytest.mark.parametrize(
    ("settings", "flags", "said"),
    [
        ({"onnx_only": True}, ["onnx_only", "batch"], "--batch has nothing to do: with"),
        ({"onnx_only": True}, ["capability"], "--capability"),
        ({}, ["tolerance"], "--tolerance has nothing to do: .*int8"),
        ({}, ["check_images"], "--check-images has nothing to do: .*--check"),
        ({"precision": "fp32"}, ["precision", "check"], "--check has nothing to do"),
    ],
)
def test_an_option_without_an_effect_is_refused(
    settings: dict[str, Any], flags: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        BuildSettings(**settings).refuse_idle(flags)
    BuildSettings(**settings).refuse_idle([])  # from a settings file it is no contradiction


def test_options_with_an_effect_are_not() -> None:
    BuildSettings().refuse_idle(["batch", "size", "flavor", "force"])
    BuildSettings(check=Path("data")).refuse_idle(["check", "check_images"])
    BuildSettings(precision="int8", onnx_only=True, check=Path("data")).refuse_idle(
        ["check", "check_images", "tolerance", "onnx_only", "precision"]
    )
