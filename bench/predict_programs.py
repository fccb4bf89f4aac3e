"""The programs that `bench.predict` runs, by the names of its table, and how each is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.programs import FORGE, Contender, Ran, run
from forgecli.cores import available_cores

PEERS = [sys.executable, "-m", "bench.peers"]
OURS = "forge, .onnx"
NOTEBOOK = "peer A: notebook"
LOADER = "peer B: DataLoader"
CONTROL = "peer B, our engine"
CHECKPOINT = "forge, .safetensors"
ASYNCHRONOUS = "asynchronous requests alone"
INT8 = "forge, INT8"
ENGINE = "limit: engine alone"
DECODE = "limit: decode alone"


class Stage:
    """The files, the network and the places of one bench.

    Args:
        images: all pictures.
        one: a folder with one of them.
        checkpoint: with the .onnx beside it.
        work: for submissions.
    """

    def __init__(self, images: Path, one: Path, checkpoint: Path, work: Path) -> None:
        self.images, self.one, self.work = images, one, work
        self.checkpoint, self.onnx = checkpoint, checkpoint.with_suffix(".onnx")
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}

    def peer(self, name: str, **options: int) -> list[str]:
        """The command of a program of `bench.peers`."""
        exported = name in ("asynchronous", "engine", "loader-openvino")
        command = [*PEERS, name, "--model", str(self.onnx if exported else self.checkpoint)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        return command

    def ours(self, model: Path) -> list[str]:
        """`forge predict`, as a user types it."""
        return [
            *FORGE,
            "predict",
            "--model",
            str(model),
            "--overwrite",
            "--json",
            "--device",
            "cpu",
        ]

    def output(self, name: str, *, one: bool = False) -> Path:
        """Where a contender's submission goes."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)
        return self.work / f"{plain}{'-one' if one else ''}.csv"

    def run(self, name: str, contender: Contender, *, one: bool = False) -> Ran:
        """Run one contender on all files or on one."""
        images = self.one if one else self.images
        rest = ["-o", str(self.output(name, one=one))]
        forge = contender.command[: len(FORGE)] == FORGE
        return run([*contender.command, *([] if forge else ["--images"]), images, *rest],
                   self.environment)  # fmt: skip


def best_loader(stage: Stage, name: str, subset: int) -> tuple[dict[str, int], dict[str, float]]:
    """The fastest setting of peer B on the first files, and the seconds of all that were tried."""
    cores = available_cores()
    settings = [
        {"workers": workers, "threads": threads, "batch": batch}
        for workers in sorted({0, 1, cores})
        for threads in sorted({1, cores})
        for batch in (1, 4)
        if batch == 1 or workers == 1
    ]
    tried = {}
    for options in settings:
        command: list[str | Path] = [*stage.peer(name, **options), "--first", str(subset)]
        rest: list[str | Path] = ["--images", stage.images, "-o", stage.output("trial")]
        ran = run([*command, *rest], stage.environment)
        tried[", ".join(f"{key} {value}" for key, value in options.items())] = ran.said["loop"]
    best = min(range(len(settings)), key=lambda index: list(tried.values())[index])
    return settings[best], tried
