"""Which TensorRT is found, and what becomes of its messages."""

from __future__ import annotations

import gc
import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from engines import tensorrt_library
from engines.tensorrt_library import (
    MOST_SAID,
    Library,
    Said,
    failure,
    installed,
    library,
    plain,
    shown_capability,
)
from tests.engines.fake_tensorrt import FakeLogger, FakeSeverity

NOISE = (
    "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at "
    "/_src/common/dispatch/checkMacros.cpp:250 (cudaError 35: CUDA driver version is insufficient "
    "for CUDA runtime version))"
)


def only(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    """Let these modules be installed, as empty ones, and the other TensorRT not."""
    find = importlib.util.find_spec
    for name in ("tensorrt", "tensorrt_rtx"):
        module: Any = SimpleNamespace(__version__=f"1 of {name}") if name in there else None
        monkeypatch.setitem(sys.modules, name, module)

    def found(name: str, package: str | None = None) -> Any:
        return name in there or None if name.startswith("tensorrt") else find(name, package)

    monkeypatch.setattr(tensorrt_library, "find_spec", found)


@pytest.mark.parametrize(
    ("there", "flavor"),
    [
        (("tensorrt",), "tensorrt"),
        (("tensorrt_rtx",), "rtx"),
        (("tensorrt", "tensorrt_rtx"), "tensorrt"),
    ],
)
def test_auto_takes_the_data_centre_library_first(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], flavor: str
) -> None:
    only(monkeypatch, *there)
    assert library().flavor == flavor
    assert library().version == f"1 of {there[0]}"
    assert len(installed()) == len(there)


def test_what_is_missing_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    assert installed() == ()
    with pytest.raises(ImportError, match=r"forgecli\[gpu\].*forgecli\[gpu-rtx\]"):
        library()
    with pytest.raises(ImportError, match=r"TensorRT .*pip install 'forgecli\[gpu\]'"):
        library("tensorrt")
    with pytest.raises(ImportError, match=r"TensorRT for RTX .*'forgecli\[gpu-rtx\]'"):
        library("rtx")


def test_a_library_that_does_not_load_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "tensorrt", "tensorrt_rtx")

    def broken(name: str) -> Any:
        raise OSError("libnvinfer.so.11: cannot open shared object file")

    monkeypatch.setattr(tensorrt_library, "import_module", broken)
    with pytest.raises(ImportError, match=r"does not load: libnvinfer\.so"):
        library("auto")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "Error Code 6: API Usage Error (The engine plan file is not compatible with this "
            "version of TensorRT, expecting library version 11.0 got 11.1, please rebuild. In f "
            "at a.cpp:1)",
            ("another version of TensorRT", "forge build-engine"),
        ),
        (
            "Error Code 6: API Usage Error (The engine plan file is generated on an incompatible "
            "device, expecting compute 9.0 got compute 8.6, please rebuild.)",
            ("another GPU", "forge build-engine"),
        ),
        (
            "Error Code 2: OutOfMemory (Requested size was 123456 bytes. In f at a.cpp:1)",
            ("memory does not suffice", "smaller batch"),
        ),
        (
            "Error Code 1: Cuda Runtime (In f at a.cpp:25 (cudaError 2: out of memory))",
            ("memory does not suffice", "smaller batch"),
        ),
        (
            "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([tactic.cpp:1676: "
            "enumerate_tactics] Tactic Selection: no tactics to implement the operation within "
            "workspace limit. In compileGraph at /_src/optimizer/a.cpp:2012)",
            ("workspace memory",),
        ),
        (
            "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Dimension mismatch "
            "for tensor images and profile 0. At dimension axis 2, profile has min=8, opt=16, "
            "max=16 but tensor has 8. In validate at /_src/optimizer/api/network.cpp:4054)",
            ("do not fit", "max=16"),
        ),
        ("Something entirely new", ("Something entirely new", "the mend")),
    ],
)
@pytest.mark.parametrize("noise", [[], [NOISE]])
def test_messages_become_words(said: str, words: tuple[str, ...], noise: list[str]) -> None:
    error = failure("it fails", Said([*noise, said, *noise, "a consequence"]), "the mend")
    assert str(error).startswith("it fails: ")
    for word in words:
        assert word in str(error)
    for word in ("_src", ".cpp", "cudaError 35", "a consequence"):
        assert word not in str(error)
    assert error.what in str(error) and str(error).endswith(error.mend)


def test_only_the_driver_is_wrong() -> None:
    assert "no NVIDIA driver" in str(failure("it fails", Said([NOISE, NOISE])))


def test_nothing_was_said() -> None:
    assert "does not say why" in str(failure("it fails", Said()))


def test_long_messages_are_cut() -> None:
    assert len(plain("word " * 1000)) == 300


def test_all_listeners_hear_what_is_said_while_they_listen() -> None:
    found = Library("tensorrt", SimpleNamespace(ILogger=FakeLogger), "1")
    logger = found.logger
    assert found.logger is logger, "the library takes one in a process"
    first = found.listen()
    logger.log(FakeSeverity.ERROR, "one")
    second = found.listen()
    logger.log(FakeSeverity.INTERNAL_ERROR, "two")
    logger.log(FakeSeverity.WARNING, "three")
    logger.log(FakeSeverity.INFO, "four")
    assert (first.errors, first.warnings) == (["one", "two"], ["three"])
    assert (second.errors, second.warnings) == (["two"], ["three"])
    voice = found._voice()
    del first
    gc.collect()
    assert list(voice._listeners) == [second]
    for _ in range(MOST_SAID + 5):
        logger.log(FakeSeverity.WARNING, "again")
    assert len(second.warnings) == MOST_SAID


def test_capabilities_as_people_write_them() -> None:
    assert [shown_capability(c) for c in (75, 90, 120)] == ["7.5", "9.0", "12.0"]
