"""Weights of other checkpoints, and hostile ones."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from forgecli.errors import ForgeError, UsageError
from forgecli.train.start import start_from
from tests.train.runs import Tiny, same


class Runs:
    """What a checkpoint must not be able to do."""

    ran = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Runs, "ran", True)


def trained() -> Tiny:
    network = Tiny()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    return network


def test_all_of_our_own_is_taken(tmp_path: Path) -> None:
    given, network = trained(), Tiny()
    save_file(given.state_dict(), tmp_path / "a.safetensors")
    fitted = start_from(network, tmp_path / "a.safetensors")
    assert fitted.tensors == fitted.own == fitted.given == len(given.state_dict())
    assert same(given.state_dict(), network.state_dict())


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "model."])
@pytest.mark.parametrize("holder", [None, "state_dict", "model"])
def test_a_strangers_file_is_read_as_tensors(
    tmp_path: Path, wrapper: str, holder: str | None
) -> None:
    given, network = trained(), Tiny()
    tensors = {wrapper + name: value for name, value in given.state_dict().items()}
    torch.save({holder: tensors, "epoch": 3} if holder else tensors, tmp_path / "a.pt")
    assert start_from(network, tmp_path / "a.pt").tensors == len(tensors)
    assert same(given.state_dict(), network.state_dict())


def test_weights_of_a_part_find_their_place(tmp_path: Path) -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Tiny()

    given, network = trained(), Whole()
    save_file(given.state_dict(), tmp_path / "a.safetensors")
    start_from(network, tmp_path / "a.safetensors")
    assert same(given.state_dict(), network.body.state_dict())


def test_only_what_fits_is_taken(tmp_path: Path) -> None:
    given, network = trained(), Tiny()
    before = copy.deepcopy(network.state_dict())
    tensors = {**given.state_dict(), "last.weight": torch.zeros(2, 4, 1, 1), "new": torch.ones(1)}
    save_file(tensors, tmp_path / "a.safetensors")
    fitted = start_from(network, tmp_path / "a.safetensors")
    assert (fitted.tensors, fitted.given) == (len(before) - 1, len(tensors))
    assert torch.equal(network.state_dict()["last.weight"], before["last.weight"])
    assert torch.equal(network.state_dict()["first.weight"], given.first.weight)


def test_nothing_fits(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="none of its 1 tensors"):
        start_from(Tiny(), tmp_path / "a.safetensors")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Runs()}, tmp_path / "bad.pt")
    with pytest.raises(ForgeError, match="cannot be read as tensors"):
        start_from(Tiny(), tmp_path / "bad.pt")
    assert not Runs.ran


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01damaged")
    with pytest.raises(ForgeError) as caught:
        start_from(Tiny(), tmp_path / name)
    assert caught.value.file == tmp_path / name
    with pytest.raises(UsageError, match="no such file"):
        start_from(Tiny(), tmp_path / ("no" + name))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ForgeError, match="holds a list"):
        start_from(Tiny(), tmp_path / "list.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged(tmp_path: Path, value: float) -> None:
    """Found before the training makes its folder and its first step."""
    network = Tiny()
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    next(iter(tensors.values())).view(-1)[0] = value
    save_file(tensors, tmp_path / "a.safetensors")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ForgeError, match=r"not finite numbers, in 1 of the \d+ that fit"):
        start_from(network, tmp_path / "a.safetensors")
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
