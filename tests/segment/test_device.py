"""Which device a network runs on."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch

from forgecli.errors import UsageError
from forgecli.segment.device import resolve_device


def machine(monkeypatch: pytest.MonkeyPatch, *, gpus: int = 0, apple: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)


@pytest.mark.parametrize(
    ("gpus", "apple", "asked", "found"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, False, "auto", "cuda:0"),
        (2, False, "cpu", "cpu"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_what_is_there(
    monkeypatch: pytest.MonkeyPatch, gpus: int, apple: bool, asked: str, found: str
) -> None:
    machine(monkeypatch, gpus=gpus, apple=apple)
    assert resolve_device(asked) == found


@pytest.mark.parametrize(
    ("gpus", "asked", "said"),
    [
        (0, "cuda", "no NVIDIA GPU 0"),
        (0, "cuda:0", "no NVIDIA GPU 0"),
        (2, "cuda:2", "there are 2, counted from 0"),
        (2, "mps", "no Apple GPU"),
        (0, "gpu", "no device is called 'gpu'"),
        (0, "cuda:x", "no device is called"),
        (0, "", "no device is called"),
    ],
)
def test_what_is_not_there_is_never_the_cpu_instead(
    monkeypatch: pytest.MonkeyPatch, gpus: int, asked: str, said: str
) -> None:
    machine(monkeypatch, gpus=gpus)
    with pytest.raises(UsageError, match=said):
        resolve_device(asked)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr("forgecli.segment.device.find_spec", lambda name: None)
    with pytest.raises(UsageError) as raised:
        resolve_device("cpu")
    assert "forgecli[train]" in raised.value.mend
