"""Which device match is told to run on, and what it says if it cannot."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from forgecli.errors import ForgeError, UsageError
from forgecli.match.gpu import open_gpu, resolve_device
from kernels.cuda import cupy_device
from tests.kernels.cuda.host import HostDevice


def machine(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    def device(number: int = 0) -> HostDevice:
        if number >= gpus:
            raise RuntimeError(f"CuPy finds no GPU {number}\nand more of it")
        return HostDevice()

    monkeypatch.setattr(cupy_device, "CupyDevice", device)


@pytest.mark.parametrize(
    ("gpus", "asked", "found"),
    [
        (2, None, "cpu"),
        (2, "auto", "cpu"),
        (2, "cpu", "cpu"),
        (1, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
        (0, "auto", "cpu"),
    ],
)
def test_a_gpu_is_used_if_it_is_named(
    monkeypatch: pytest.MonkeyPatch, gpus: int, asked: str | None, found: str
) -> None:
    machine(monkeypatch, gpus)
    assert resolve_device(asked) == found


@pytest.mark.parametrize(
    ("gpus", "asked", "said"),
    [
        (0, "cuda", r"match cannot run on cuda:0: CuPy finds no GPU 0\."),
        (2, "cuda:2", r"on cuda:2: CuPy finds no GPU 2\."),
        (2, "mps", "does not run on mps"),
        (2, "gpu", "no device is called 'gpu'"),
        (2, "cuda:", "no device is called"),
        (2, "", "no device is called"),
    ],
)
def test_what_is_not_there_is_never_the_cpu_instead(
    monkeypatch: pytest.MonkeyPatch, gpus: int, asked: str, said: str
) -> None:
    machine(monkeypatch, gpus)
    with pytest.raises(UsageError, match=said) as raised:
        resolve_device(asked)
    assert raised.value.mend


def test_without_cupy_the_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "cupy":
            raise ImportError("No module named 'cupy'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="needs CuPy") as raised:
        resolve_device("cuda:0")
    assert "forgecli[gpu]" in raised.value.mend and "CPU" in raised.value.mend


def test_a_gpu_that_has_gone_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0)
    with pytest.raises(ForgeError, match=r"match cannot run on cuda:0: CuPy finds no GPU 0\."):
        open_gpu("cuda:0")
    machine(monkeypatch, 1)
    assert open_gpu("cuda:0").at_once > 0
