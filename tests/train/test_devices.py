"""Where a run computes, and with how many."""

from __future__ import annotations

import pytest
import torch

from forgecli.errors import UsageError
from forgecli.train import devices
from forgecli.train.devices import crew_of, device_of
from forgecli.train.distributed import World

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("cores", "device", "world", "workers", "threads"),
    [
        (1, CPU, World(), 1, 1),
        (2, CPU, World(), 1, 2),
        (8, CPU, World(), 2, 6),
        (16, GPU, World(), 12, 4),
        (2, GPU, World(), 1, 1),
        (16, CPU, World(0, 4, 0, 4), 1, 3),
        (16, GPU, World(0, 8, 0, 4), 3, 1),
    ],
)
def test_cores_are_shared_out(
    cores: int, device: torch.device, world: World, workers: int, threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    crew = crew_of(None, None, device, world)
    assert (crew.workers, crew.threads) == (workers, threads)
    asked = crew_of(0, 5, device, world)
    assert (asked.workers, asked.threads) == (0, 5)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto", World()) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert device_of("auto", World()) == GPU
    assert device_of("cuda", World(1, 2, 1, 2)) == torch.device("cuda", 1)
    assert taken == [0, 1]
    with pytest.raises(UsageError, match="GPU 2"):
        device_of("cuda:2", World())
    with pytest.raises(UsageError, match="GPU 3"):
        device_of("cuda", World(3, 4, 3, 4))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of("auto", World()).type == "mps"


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="torch sees 0 here"):
        device_of(name, World())
