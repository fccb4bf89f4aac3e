"""Two processes on the CPU, as torchrun starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from forgecli.errors import UsageError
from forgecli.train.distributed import World, world_of
from forgecli.train.progress import Limits
from tests.train.ddp_program import one_step, whole_batches
from tests.train.runs import same, write_data_set

REPOSITORY = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def in_two(*command: str) -> list[subprocess.CompletedProcess[str]]:
    """Run a command as two processes that know of each other."""
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    done = []
    try:
        for process in running:
            out, said = process.communicate(timeout=120)
            done.append(subprocess.CompletedProcess([], process.returncode, out, said))
    finally:
        for process in running:
            process.kill()
    return done


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    """Steps on halves of a batch in two processes, against steps on whole ones in one."""
    for each in in_two("-m", "tests.train.ddp_program", str(tmp_path)):
        assert each.returncode == 0, each.stderr
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert same(first, second), "the processes hold the same weights"
    alone = one_step(World(), whole_batches, Limits(epochs=2, steps=3))
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(first[f"network.{name}"], value, rtol=1e-4, atol=1e-6)
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [each["kept"] for each in told] == [2, 0], "only the first process writes"
    assert told[0]["loss"] == pytest.approx(alone.loop.progress.history[-1]["loss"], rel=1e-4)
    assert told[0]["images"] == alone.loop.progress.images


@pytest.mark.slow
def test_the_program_in_two_processes(tmp_path: Path) -> None:
    """All of it, with validation shared out. The second process says and writes nothing."""
    write_data_set(tmp_path / "set", count=6)
    run = tmp_path / "run"
    done = in_two(
        *("-c", "from forgecli.app import main; main()", "train", "--data", str(tmp_path / "set")),
        *("--model", "simple-cnn", "--size", "32", "--epochs", "2", "--batch", "2", "-o", str(run)),
        *("--workers", "0", "--threads", "1", "--device", "cpu", "--json"),
    )
    assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    report = json.loads(done[0].stdout)
    assert (
        report["ended"] == "epochs" and report["last"]["validated"] == report["validation_images"]
    )
    assert done[1].stdout == "" and "epoch" not in done[1].stderr
    assert (run / "best.safetensors").is_file()
    card = json.loads((run / "best.json").read_text())
    assert card["training"]["loop"]["processes"] == 2


def test_the_environment_tells_who_one_is() -> None:
    assert world_of({}) == World()
    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert world_of(told) == World(3, 4, 1, 2)
    with pytest.raises(UsageError, match="torchrun"):
        world_of({**told, "RANK": "x"})
    with pytest.raises(UsageError, match="RANK 4"):
        world_of({**told, "RANK": "4"})
